package core

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// recorderQueue bounds what waits to be recorded. What does not fit is dropped: the next token says it again.
	recorderQueue = 1024
	// seenEvery is how often a tenant's activity is written at most.
	seenEvery = time.Hour
	// takeOverPause is how long a contested run stays with a secret at least, so that two secrets in use do not make a
	// write of every request. It is shorter where Settle is.
	takeOverPause = 30 * time.Second
)

const (
	// desyncAfter bad signatures within desyncWindow, and no good one, make a tenant suspect.
	desyncAfter  = 3
	desyncWindow = 10 * time.Minute
	// desyncQuiet is how long no request must have verified. A site that is alive is none that is locked out, whatever
	// others send in its name.
	desyncQuiet = time.Second

	// refusedEvery is how often a refused callback of a tenant is written at most.
	refusedEvery = time.Minute
	// guessesPerSecond of the refused callbacks are tried on the store that name a tenant which is not known here.
	guessesPerSecond, guessBurst = 1, 10
)

// trouble counts the bad signatures of a tenant since the last good one, as far as this replica sees them. Of two at the
// same moment one may be lost: the next one counts.
type trouble struct {
	bad   atomic.Int32
	since atomic.Int64 // Unix nanoseconds of the first one
	good  atomic.Int64 // Unix nanoseconds of the last good one, half of desyncQuiet coarse

	refusedAt atomic.Int64 // Unix nanoseconds of the last callback that was noted as refused
}

// refused reports whether a refused callback is worth a write: the last one was a while ago.
func (t *trouble) refused(at time.Time) bool {
	last := t.refusedAt.Load()
	since := at.Sub(time.Unix(0, last))
	return (since < 0 || since >= refusedEvery) && t.refusedAt.CompareAndSwap(last, at.UnixNano())
}

// more counts one, and reports whether that makes the tenant suspect.
func (t *trouble) more(at time.Time) bool {
	since := at.Sub(time.Unix(0, t.since.Load()))
	if t.bad.Load() == 0 || since < 0 || since > desyncWindow {
		t.since.Store(at.UnixNano())
		t.bad.Store(0)
	}
	if t.bad.Add(1) != desyncAfter {
		return false
	}
	if at.Sub(time.Unix(0, t.good.Load())).Abs() < desyncQuiet {
		t.bad.Store(0)
		return false
	}
	return true
}

// over ends the count, and reports whether the tenant was suspect. It is called for every request, and hardly ever has
// anything to do.
func (t *trouble) over(at time.Time) (suspect bool) {
	if at.Sub(time.Unix(0, t.good.Load())).Abs() >= desyncQuiet/2 {
		t.good.Store(at.UnixNano())
	}
	return t.bad.Load() != 0 && t.bad.Swap(0) >= desyncAfter
}

// recorder brings what requests have shown to the store, off their path: which secret a site signs with, and that it
// is alive.
type recorder struct {
	app   *App
	queue chan func(context.Context)
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once

	guesses *rate.Limiter // of client keys that are not known here
}

func newRecorder(a *App) *recorder {
	r := &recorder{
		app:   a,
		queue: make(chan func(context.Context), recorderQueue),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),

		guesses: rate.NewLimiter(guessesPerSecond, guessBurst),
	}
	go r.run()
	return r
}

// request notes a verified request. It costs a few comparisons unless there is something to write.
func (r *recorder) request(t *tenant, e evidence, arrived time.Time) {
	now := wholeSeconds(arrived)
	// A signer without an entry is an app-wide secret.
	if (t.row.find(e.fingerprint) < 0 || r.worthWriting(t.row, e, now)) && t.noted.CompareAndSwap(false, true) {
		noted := r.submit(func(ctx context.Context) {
			defer t.noted.Store(false)
			r.failed(ctx, t.row.Key, r.evidence(ctx, t.row.Key, e))
		})
		if !noted {
			t.noted.Store(false)
		}
	}
	activity := &t.row.Activity
	suspected := !activity.DesyncSuspectedAt.IsZero() && !activity.SeenAt.After(activity.DesyncSuspectedAt)
	suspected = t.trouble.over(arrived) || suspected // the row may say it only when it is read again
	if (suspected || now.Sub(activity.SeenAt) >= seenEvery) && t.seenNoted.CompareAndSwap(false, true) {
		r.touch(t.row.Key, Activity{SeenAt: now})
	}
	if e.fingerprint == t.newest && activity.FirstUsed != t.newest && t.useNoted.CompareAndSwap(false, true) {
		r.submit(func(ctx context.Context) { r.failed(ctx, t.row.Key, r.firstUse(ctx, t, now)) })
	}
}

// unverified notes a request in the name of an installed tenant that none of its secrets has signed. One may be forged.
// Several, and none that verifies, are what a site looks like that is on a secret which the app never got.
func (r *recorder) unverified(t *tenant, reason ReasonCode, arrived time.Time) {
	switch reason {
	case ReasonBadSignature, ReasonRetired, ReasonRevoked:
	default:
		return
	}
	if !t.trouble.more(arrived) {
		return
	}
	r.app.log.Warn("desync suspected: requests of the site are signed with no secret that it may use; "+
		"if its users see errors, it needs to install or update the app again",
		"client_key", t.row.Key.ClientKey, "reason", string(reason))
	r.touch(t.row.Key, Activity{DesyncSuspectedAt: wholeSeconds(arrived)})
}

// refused notes that a callback was refused that names the tenant. Anybody can send one, so it is noted now and then only.
func (r *recorder) refused(clientKey string, reason ReasonCode) {
	now := r.app.config.Now()
	t := r.app.tenants.cached(clientKey)
	switch {
	case clientKey == "" || t != nil && t.row == nil:
		return
	case t == nil && !r.guesses.AllowN(now, 1): // a site that nobody has visited here, or a guess
		return
	case t != nil && !t.trouble.refused(now):
		return
	}
	r.touch(Key{r.app.config.AppKey, clientKey}, Activity{RefusedAt: wholeSeconds(now), RefusedReason: reason})
}

// worthWriting reports whether the evidence would change the row now.
func (r *recorder) worthWriting(row *Installation, e evidence, now time.Time) bool {
	settle := r.app.config.Settle
	switch row.judge(e, now, settle) {
	case provesNothing:
		return false
	case takesRunOver:
		// That a run is contested is never left out: it is what a thief is noticed by.
		return !row.Contested || !now.Before(row.Run.ArrivedAt.Add(min(takeOverPause, settle/2)))
	default:
		return true
	}
}

func (r *recorder) touch(key Key, activity Activity) {
	r.submit(func(ctx context.Context) { r.failed(ctx, key, r.write(ctx, key, activity)) })
}

func (r *recorder) write(ctx context.Context, key Key, activity Activity) error {
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, r.app.config.Store.Touch(ctx, key, activity)
	})
	return err
}

// firstUse records that the newest secret of the tenant is in use, unless the row as it is now knows, or has a newer one.
func (r *recorder) firstUse(ctx context.Context, t *tenant, at time.Time) error {
	row, err := within(ctx, func(ctx context.Context) (*Installation, error) { return r.app.config.Store.Get(ctx, t.row.Key) })
	if err != nil || row.Activity.FirstUsed == t.newest || row.Newest() != t.newest {
		return err
	}
	if err := r.write(ctx, t.row.Key, Activity{FirstUsed: t.newest, FirstUsedAt: at}); err != nil {
		return err
	}
	r.app.log.InfoContext(ctx, "first request with the newest secret", "client_key", t.row.Key.ClientKey, "secret", t.newest.Short())
	return nil
}

// evidence decides again on the row as it is now: the request saw a cached one.
func (r *recorder) evidence(ctx context.Context, key Key, e evidence) error {
	row, revoked, err := r.app.load(ctx, key)
	if err != nil {
		return err
	}
	now := wholeSeconds(r.app.config.Now())
	configured := r.app.appWide(key.ClientKey, revoked)
	next := revoked.strike(row).keepLeftBehind(configured).Clone()
	// A site that is seen after it has uninstalled the app was seen by a replica that did not know.
	bound := next.State == Installed && next.bind(e.fingerprint, configured, now)
	if !bound && !r.worthWriting(next, e, now) {
		return nil
	}
	before := next.Run
	retired := next.weigh(e, now, r.app.config.Settle)
	if err := r.app.save(ctx, row, next); err != nil {
		return err
	}
	if bound {
		r.app.log.InfoContext(ctx, "the site signs with this app-wide secret, and is bound to it",
			"client_key", key.ClientKey, "secret", e.fingerprint.Short())
	}
	if next.Run != before || len(retired) > 0 {
		r.log(ctx, before, next, retired)
	}
	return nil
}

func (r *recorder) log(ctx context.Context, before Run, after *Installation, retired []Fingerprint) {
	level, message := slog.LevelInfo, "the site signs with this secret"
	switch {
	case len(retired) > 0:
		message = "the site has settled on this secret, and those it left behind are retired"
	case before.Fingerprint == after.Run.Fingerprint:
		message = "the site has kept to this secret for long enough, and is contested no more"
	case before.Fingerprint != "":
		level, message = slog.LevelWarn, "contested: the site signs with this secret though it was offered no other"
	}
	r.app.log.LogAttrs(ctx, level, message,
		slog.String("client_key", after.Key.ClientKey),
		slog.String("secret", after.Run.Fingerprint.Short()),
		slog.Int("retired", len(retired)))
}

// failed logs what could not be recorded. A conflict is no failure: somebody else has written, and the next request
// says it again.
func (r *recorder) failed(ctx context.Context, key Key, err error) {
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		r.app.log.WarnContext(ctx, "activity could not be recorded", "client_key", key.ClientKey, "error", err)
	}
}

// submit hands work to the recorder, or drops it when there is too much.
func (r *recorder) submit(work func(context.Context)) bool {
	select {
	case r.queue <- work:
		return true
	default:
		return false
	}
}

// run does the work one by one. After the stop it does what is queued.
func (r *recorder) run() {
	defer close(r.done)
	for {
		select {
		case work := <-r.queue:
			r.do(work)
		case <-r.stop:
			for {
				select {
				case work := <-r.queue:
					r.do(work)
				default:
					return
				}
			}
		}
	}
}

// do survives a store that panics.
func (r *recorder) do(work func(context.Context)) {
	ctx := context.Background()
	defer r.app.recovered(ctx, "Store")
	work(ctx)
}

// close records what is queued and ends the recorder.
func (r *recorder) close(ctx context.Context) error {
	r.once.Do(func() { close(r.stop) })
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
