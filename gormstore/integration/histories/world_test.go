package histories

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

const (
	settle   = 15 * time.Minute
	cacheTTL = 5 * time.Second
	maxStale = time.Minute
	patience = 10*time.Second + 300*time.Microsecond // of a site that waits for an answer
)

// world is everything around the code under test.
type world struct {
	kind   kind
	store  core.Store
	key    core.Key
	leeway time.Duration // of processes that start from now on; 0 for the default

	site      *fakehost.Site
	kept      string // the secret that the site goes back to, while it calls
	calling   *delivery
	replicas  []*replica
	delivered []*delivery // every callback that the site has sent, the first one first
	handlings []*handling // of callbacks, by replicas, that are not done
	pages     []*page     // made, and not opened yet

	// mu is held by the steps, but while they wait, and then by whoever acts: replicas at their store, or the site.
	mu      sync.Mutex
	stopped []*stop
	late    []func() // writes that were given up and are still on their way to the database
	calm    bool     // nothing stops at the store any more

	sent       map[core.Fingerprint]bool      // secrets that the site has ever offered
	values     map[core.Fingerprint]string    // and what they are
	offered    []core.Fingerprint             // in that order
	revoked    map[core.Fingerprint]bool      // by the operator
	ceased     map[core.Fingerprint]time.Time // when the secret last stopped to verify
	row        *core.Installation             // as last committed; nil before the first commit
	misled     int                            // pages made within a callback of a known secret that is not committed
	unproven   int                            // callbacks since the site has kept a secret that no page has shown
	seenAt     time.Time                      // of the last activity in the row
	shownAt    time.Time                      // when a page has last shown that the site is alive
	lastCalled time.Time

	closing sync.WaitGroup
	events  map[event]bool
	story   []string
	broken  []string // invariants that do not hold
}

// replica is one process of the app.
type replica struct {
	name     string
	skew     time.Duration
	app      *inprocess.App
	store    *store
	down     bool      // it does not reach the database
	lastGood time.Time // when it last read the row
}

// newWorld returns a world with a site that has not installed its app, and with a replica for each skew of a clock. It
// must be called in a bubble.
func newWorld(k kind, inner core.Store, skews ...time.Duration) (*world, error) {
	const clientKey = "site"
	w := &world{
		kind: k, store: inner, key: core.Key{AppKey: inprocess.AppKey, ClientKey: clientKey},
		sent: map[core.Fingerprint]bool{}, values: map[core.Fingerprint]string{},
		events:  map[event]bool{},
		revoked: map[core.Fingerprint]bool{}, ceased: map[core.Fingerprint]time.Time{},
	}
	site, err := inprocess.NewSite(network{w}, fakehost.Config{
		App: fakehost.Descriptor{Symmetric: k == symmetric}, ClientKey: clientKey, Seed: "site", SecretBytes: 16,
	})
	if err != nil {
		return nil, err
	}
	w.site = site
	if err := w.settleNeighbour(); err != nil {
		return nil, err
	}
	for n, skew := range skews {
		r := &replica{name: string(rune('A' + n)), skew: skew}
		w.replicas = append(w.replicas, r)
		if err := w.start(r); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	return w, nil
}

// settleNeighbour puts another tenant into the store.
func (w *world) settleNeighbour() error {
	secret, err := core.NewSecret(neighboursSecret)
	if err != nil {
		return err
	}
	_, err = w.store.Put(context.Background(), &core.Installation{
		Key: core.Key{AppKey: inprocess.AppKey, ClientKey: "neighbour"}, State: core.Installed, Signing: core.SignedRS256,
		Secrets: []core.StoredSecret{{Fingerprint: secret.Fingerprint(), State: core.Usable, Value: secret}},
	})
	return err
}

// aside lets everybody else act while f waits or calls them.
func (w *world) aside(f func()) {
	w.mu.Unlock()
	defer w.mu.Lock()
	f()
}

// start starts a new process of the app in place of the replica's last one.
func (w *world) start(r *replica) (err error) {
	r.store = &store{world: w, replica: r}
	r.app, err = inprocess.NewApp(r.store, func(c *core.Config) {
		c.Settle, c.CacheTTL, c.MaxStale, c.Leeway = settle, cacheTTL, maxStale, w.leeway
		c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = w.kind == symmetric, w.kind == symmetric
		c.Now = func() time.Time { return time.Now().Add(r.skew) }
	})
	return err
}

func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, time.Now().Format("02 15:04:05 ")+fmt.Sprintf(format, args...))
}

// breaks notes that an invariant does not hold.
func (w *world) breaks(invariant string) {
	w.broken = append(w.broken, invariant)
	w.tell("BROKEN: %s", invariant)
}

// know remembers a secret by its fingerprint.
func (w *world) know(secret string) core.Fingerprint {
	value, err := core.NewSecret(secret)
	if err != nil {
		panic(err)
	}
	w.values[value.Fingerprint()] = secret
	return value.Fingerprint()
}

// live returns the secret that the site signs with.
func (w *world) live() core.Fingerprint { return core.Fingerprint(w.site.Fingerprint()) }

// usable reports whether the secret verifies requests, as a fresh reader sees it.
func (w *world) usable(f core.Fingerprint) bool {
	return w.row != nil && w.row.State == core.Installed && state(w.row, f) == core.Usable && !w.revoked[f]
}

// state returns the state of a secret in the row, or "" if the row does not have it.
func state(row *core.Installation, f core.Fingerprint) core.SecretState {
	if row != nil {
		for _, s := range row.Secrets {
			if s.Fingerprint == f {
				return s.State
			}
		}
	}
	return ""
}

// crash ends the process of a replica wherever it is, and starts another.
func (w *world) crash(r *replica) {
	w.tell("%s crashes", r.name)
	for _, h := range w.handlings {
		if h.store == r.store {
			w.events[crashedAtWork] = true
			w.events[crashedInBetween] = w.events[crashedInBetween] || h.commits > 0
		}
	}
	r.store.dead = true
	for _, s := range w.take(func(s *stop) bool { return s.store == r.store }) {
		s.decision <- die
	}
	w.settleDown()
	dead := r.app
	w.closing.Go(func() { _ = dead.Close(context.Background()) })
	if err := w.start(r); err != nil {
		panic(err)
	}
	r.lastGood = time.Time{}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.aside(func() { time.Sleep(d) }) //nolint:forbidigo // in a bubble it takes no time, and moves the clock
	w.settleDown()
}

// end lets everything run out and closes the replicas, so that the bubble can end.
func (w *world) end() {
	w.calmDown()
	for _, r := range w.replicas {
		w.closing.Go(func() { _ = r.app.Close(context.Background()) })
	}
	w.aside(w.closing.Wait)
	w.mu.Unlock()
}

// calmDown ends all that goes wrong: what waits goes on, and nothing waits from now on.
func (w *world) calmDown() {
	w.calm = true
	for _, r := range w.replicas {
		r.down = false
	}
	for _, s := range w.take(func(*stop) bool { return true }) {
		s.decision <- goOn
		w.settleDown() // one after the other, so that each answer can be held against the row
	}
	if d := w.calling; d != nil {
		w.answer(d)
	}
	for _, write := range w.late {
		w.aside(write)
	}
	w.late = nil
	w.pass(2 * patience)
}

// inBubble runs a function in a bubble. What it panics with comes out, and not before the world has ended.
func inBubble(t *testing.T, run func()) {
	var thrown any
	synctest.Test(t, func(*testing.T) {
		defer func() { thrown = recover() }()
		run()
	})
	if thrown != nil {
		panic(thrown)
	}
}
