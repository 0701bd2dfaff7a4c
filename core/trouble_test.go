package core_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// What is noticed of a site that signs with a secret which the app does not have, and of one that takes a new secret into
// use.

// tally is a log that counts the messages with a beginning, by their level.
type tally struct {
	beginning string

	mu     sync.Mutex
	levels map[slog.Level]int
	text   strings.Builder
}

func (l *tally) Enabled(context.Context, slog.Level) bool { return true }
func (l *tally) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *tally) WithGroup(string) slog.Handler            { return l }

func (l *tally) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(r.Message, l.beginning) {
		if l.levels == nil {
			l.levels = map[slog.Level]int{}
		}
		l.levels[r.Level]++
		r.Attrs(func(a slog.Attr) bool { l.text.WriteString(a.String() + "\n"); return true })
	}
	return nil
}

func (l *tally) want(t *testing.T, level slog.Level, times int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	total := 0
	for _, n := range l.levels {
		total += n
	}
	if total != times || l.levels[level] != times {
		t.Errorf("%q was logged %v, want %d times at %v", l.beginning, l.levels, times, level)
	}
}

const (
	desync = "desync suspected"
	guess  = "a secret that the app never got"
)

// activityOf returns what Touch has written of the tenant.
func (s *faultyStore) activityOf(t *testing.T, clientKey string) core.Activity {
	t.Helper()
	synctest.Wait()
	row, err := s.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: clientKey})
	if err != nil {
		t.Fatal(err)
	}
	return row.Activity
}

// troubled runs a test with a store, a replica, and what it logs of desync.
func troubled(t *testing.T, test func(t *testing.T, store *faultyStore, app *core.App, log *tally)) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		log := &tally{beginning: desync}
		store.change(t, func(row *core.Installation) { row.LastOffer = time.Now().UTC() })
		test(t, store, replica(func(c *core.Config) { c.Logger = slog.New(log) }), log)
	})
}

func TestThreeBadSignaturesAndNoGoodOneAreTakenForDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		want(t, authenticate(t, app, "site", first), "")
		for n := range 2 {
			pass(time.Minute)
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			if at := store.activityOf(t, "site").DesyncSuspectedAt; !at.IsZero() {
				t.Errorf("suspected after %d of them", n+1)
			}
		}
		log.want(t, slog.LevelWarn, 0)
		pass(time.Minute)
		now := time.Now()
		want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
		if at := store.activityOf(t, "site").DesyncSuspectedAt; at.Sub(now).Abs() > time.Second {
			t.Errorf("suspected at %v, want %v", at, now)
		}
		log.want(t, slog.LevelWarn, 1)
		if text := log.text.String(); !strings.Contains(text, "client_key=site") || !strings.Contains(text, "bad_signature") || strings.Contains(text, guess) {
			t.Errorf("got %q, want the tenant and the reason, and nothing else", text)
		}
	})
}

func TestDesyncIsSaidOnceInTenMinutes(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		began := time.Now()
		for time.Since(began) < 9*time.Minute {
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			pass(10 * time.Second)
		}
		log.want(t, slog.LevelWarn, 1)
		suspected := store.activityOf(t, "site").DesyncSuspectedAt
		for range 20 * 6 {
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			pass(10 * time.Second)
		}
		log.want(t, slog.LevelWarn, 3)
		if again := store.activityOf(t, "site").DesyncSuspectedAt; again.Sub(suspected) < 10*time.Minute {
			t.Errorf("suspected at %v, and then at %v: want it kept up to date", suspected, again)
		}
	})
}

func TestAGoodSignatureBetweenBadOnesIsNoDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		for range 20 {
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			want(t, authenticate(t, app, "site", first), "")
		}
		log.want(t, slog.LevelWarn, 0)
		if at := store.activityOf(t, "site").DesyncSuspectedAt; !at.IsZero() {
			t.Errorf("suspected at %v", at)
		}
	})
}

func TestBadSignaturesFarApartAreNoDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		for range 20 {
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			pass(5*time.Minute + time.Second)
		}
		log.want(t, slog.LevelWarn, 0)
		if at := store.activityOf(t, "site").DesyncSuspectedAt; !at.IsZero() {
			t.Errorf("suspected at %v", at)
		}
	})
}

func TestASiteThatStaysOnARevokedSecretIsSuspected(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		store.install(t, "revoked", second)
		want(t, authenticate(t, app, "revoked", second), "")
		revoke(t, app, fingerprintOf(t, second), 1)
		for range 3 {
			pass(time.Second)
			want(t, authenticate(t, app, "revoked", second), core.ReasonRevoked)
		}
		log.want(t, slog.LevelWarn, 1)
		if err := core.Flush(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		if at := store.activityOf(t, "revoked").DesyncSuspectedAt; !at.Equal(time.Now()) {
			t.Errorf("suspected at %v, want now, at %v: it is locked out", at, time.Now())
		}
	})
}

func TestWhatIsNoBadSignatureOfATenantIsNoDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		store.install(t, "gone", first)
		store.bind(t, "bound", appWide1)
		gone, err := store.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "gone"})
		if err != nil {
			t.Fatal(err)
		}
		gone.State = core.Uninstalled
		if _, err := store.Store.Put(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			want(t, authenticate(t, app, "nobody", guess), core.ReasonUnknownTenant)
			want(t, authenticate(t, app, "gone", guess), core.ReasonNotInstalled)
			want(t, authenticate(t, app, "bound", appWide1), core.ReasonNotConfigured)
		}
		pass(10 * time.Second)
		store.down.Store(true)
		for range 5 {
			want(t, authenticate(t, app, "nobody else", guess), core.ReasonClaims)
			want(t, authenticate(t, app, "never-seen", guess), core.ReasonStore)
		}
		store.down.Store(false)
		log.want(t, slog.LevelWarn, 0)
		for _, clientKey := range []string{"site", "gone", "bound"} {
			if at := store.activityOf(t, clientKey).DesyncSuspectedAt; !at.IsZero() {
				t.Errorf("%s: suspected at %v", clientKey, at)
			}
		}
	})
}

func TestASiteOnASecretThatItHadLeftBehindIsTakenForDesync(t *testing.T) {
	t.Parallel()
	log := &tally{beginning: desync}
	b := setup(t, func(c *core.Config) { c.Logger = slog.New(log) })
	b.install(t)
	old := b.site.Secret()
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.clock.advance(16 * time.Minute)
		b.page(t)
		b.recorded(t)
	}
	for range 3 {
		b.clock.advance(time.Second)
		if answer, _ := b.get(t, b.site, old); answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("got %d, want 401", answer.StatusCode)
		}
	}
	b.recorded(t)
	log.want(t, slog.LevelWarn, 1)
	if !strings.Contains(log.text.String(), string(core.ReasonRetired)) {
		t.Errorf("got %q, want the reason retired", log.text.String())
	}
}

func TestARequestThatVerifiesAfterwardsDisprovesDesync(t *testing.T) {
	for _, later := range []time.Duration{time.Second, time.Minute, 59 * time.Minute, 2 * time.Hour} {
		troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
			want(t, authenticate(t, app, "site", first), "")
			for range 3 {
				want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			}
			if a := store.activityOf(t, "site"); !a.DesyncSuspectedAt.After(a.SeenAt) {
				t.Fatalf("got %+v, want desync suspected", a)
			}
			pass(later)
			want(t, authenticate(t, app, "site", first), "")
			if a := store.activityOf(t, "site"); !a.SeenAt.After(a.DesyncSuspectedAt) {
				t.Errorf("%v later: seen at %v, suspected at %v: want it disproved", later, a.SeenAt, a.DesyncSuspectedAt)
			}
			log.want(t, slog.LevelWarn, 1)
		})
	}
}

// Of the same second it is not known which came first.
func TestARequestInTheSecondOfADesyncDisprovesItLater(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, _ *tally) {
		want(t, authenticate(t, app, "site", first), "")
		synctest.Wait()
		suspected := time.Now().UTC().Truncate(time.Second)
		key := core.Key{AppKey: appKey, ClientKey: "site"}
		if err := store.Touch(t.Context(), key, core.Activity{SeenAt: suspected, DesyncSuspectedAt: suspected}); err != nil {
			t.Fatal(err)
		}
		pass(6 * time.Second) // until the row is read again
		want(t, authenticate(t, app, "site", first), "")
		if a := store.activityOf(t, "site"); !a.SeenAt.After(a.DesyncSuspectedAt) {
			t.Errorf("seen at %v, suspected at %v: want it disproved", a.SeenAt, a.DesyncSuspectedAt)
		}
	})
}

func TestARequestOnAnotherReplicaDisprovesDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, _ *tally) {
		other := newApp(t, core.Config{
			AppKey: appKey, BaseURL: "https://app.example.com", Store: store, Logger: slog.New(slog.DiscardHandler),
		})
		want(t, authenticate(t, other, "site", first), "")
		for range 3 {
			want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
		}
		pass(10 * time.Second)
		want(t, authenticate(t, other, "site", first), "")
		if a := store.activityOf(t, "site"); !a.SeenAt.After(a.DesyncSuspectedAt) {
			t.Errorf("seen at %v, suspected at %v: want it disproved", a.SeenAt, a.DesyncSuspectedAt)
		}
	})
}

func TestDesyncMayBeSuspectedAgainAfterItWasDisproved(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		for n := range 3 {
			for range 3 {
				want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature)
			}
			pass(time.Second)
			if a := store.activityOf(t, "site"); !a.DesyncSuspectedAt.After(a.SeenAt) {
				t.Errorf("time %d: suspected at %v, seen at %v", n, a.DesyncSuspectedAt, a.SeenAt)
			}
			want(t, authenticate(t, app, "site", first), "")
			pass(time.Second)
		}
		log.want(t, slog.LevelWarn, 3)
	})
}

func TestManyBadSignaturesAtOnceAreOneDesync(t *testing.T) {
	troubled(t, func(t *testing.T, store *faultyStore, app *core.App, log *tally) {
		var requests sync.WaitGroup
		for range 100 {
			requests.Go(func() { want(t, authenticate(t, app, "site", guess), core.ReasonBadSignature) })
		}
		requests.Wait()
		synctest.Wait()
		log.want(t, slog.LevelWarn, 1)
	})
}

// firstUse is a bundle that counts what it logs of first requests with the newest secret.
func firstUse(t *testing.T, configure ...func(*core.Config)) (*bundle, *tally) {
	t.Helper()
	log := &tally{beginning: "first request with the newest secret"}
	return setup(t, append(configure, func(c *core.Config) { c.Logger = slog.New(log) })...), log
}

func (b *bundle) wantFirstUse(t *testing.T, secret string, at time.Time) {
	t.Helper()
	if a := b.activity(t); a.FirstUsed != fingerprintOf(t, secret) || !a.FirstUsedAt.Equal(at) {
		t.Errorf("first used: got %s at %v, want %s at %v", a.FirstUsed.Short(), a.FirstUsedAt, fingerprintOf(t, secret).Short(), at)
	}
}

func TestTheFirstRequestWithTheNewestSecretIsRecordedOnce(t *testing.T) {
	t.Parallel()
	b, log := firstUse(t)
	b.install(t)
	if a := b.activity(t); a.FirstUsed != "" {
		t.Errorf("before any request: got %s", a.FirstUsed.Short())
	}
	old := b.site.Secret()
	for n := range 3 {
		now := b.clock.Now()
		for range 5 { // past many TTLs, and the writes of a run that begins and settles
			b.page(t)
			b.recorded(t)
			b.clock.advance(16 * time.Minute)
		}
		b.wantFirstUse(t, b.site.Secret(), now)
		log.want(t, slog.LevelInfo, n+1)

		last := b.site.Secret()
		if _, err := b.site.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.get(t, b.site, last)
		b.wantFirstUse(t, last, now) // it is not the newest any more
		b.clock.advance(time.Minute)
	}
	b.clock.advance(time.Minute)
	if _, err := b.site.Callback(fakehost.Installed).Offer(old).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := b.clock.Now()
	b.page(t)
	b.wantFirstUse(t, old, now) // it is the newest again
}

func TestTheFirstUseOfASecretIsRecordedOnceThoughReplicasLookAtOldRows(t *testing.T) {
	t.Parallel()
	told := &tally{beginning: "first request with the newest secret"}
	f := newFleet(t, func(c *core.Config) { c.Logger, c.CacheTTL, c.MaxStale = slog.New(told), time.Hour, time.Hour })
	site := f.sites[0]
	f.secrets[site] = guess
	f.wantOn(t, f.new, site, core.ReasonBadSignature) // which has read the row by now
	f.secrets[site] = appWide1
	now := f.clock.Now()
	f.wantOn(t, f.old, site, "")
	for range 3 {
		f.wantOn(t, f.new, site, "")
		f.wantOn(t, f.old, site, "")
	}
	f.site = site
	f.wantFirstUse(t, appWide1, now)
	told.want(t, slog.LevelInfo, 1)
}

// The row is written, for the evidence of that very request, when it is not known there yet that the secret is in use.
func TestTheFirstUseOfASecretIsRecordedOnceThoughItIsEvidenceToo(t *testing.T) {
	t.Parallel()
	b, log := firstUse(t)
	b.install(t)
	b.clock.advance(16 * time.Minute)
	now := b.clock.Now()
	for range 3 {
		b.page(t)
		b.recorded(t)
		b.clock.advance(time.Second)
	}
	b.wantFirstUse(t, b.site.Secret(), now)
	log.want(t, slog.LevelInfo, 1)
}

func TestABindingByATokenIsFirstUsedByTheNextOne(t *testing.T) {
	t.Parallel()
	b, _ := firstUse(t, withAppSecrets(t, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	now := b.clock.Now()
	b.get(t, b.site, appWide1)
	b.wantFirstUse(t, appWide1, now)
	b.get(t, b.site, appWide2) // is what makes it the newest
	b.recorded(t)
	now = b.clock.Now()
	b.get(t, b.site, appWide2)
	b.wantFirstUse(t, appWide2, now)
}
