package core_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

// mustRevoke stores a revocation, as a process does that then dies.
func (s *faultyStore) mustRevoke(t *testing.T, secret string) {
	t.Helper()
	err := s.Store.Revoke(t.Context(), core.Revocation{AppKey: appKey, Fingerprint: fingerprintOf(t, secret), Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARevocationReachesOtherReplicasWithinTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		here, there := replica(), replica()
		store.rotate(t)
		want(t, authenticate(t, there, "site", first), "")
		pass(4 * time.Second)
		want(t, authenticate(t, there, "site", first), "")
		revoke(t, here, fingerprintOf(t, first), 1)
		pass(5 * time.Second)
		want(t, authenticate(t, there, "site", first), core.ReasonRevoked)
		want(t, authenticate(t, there, "site", second), "")
	})
}

// A replica that dies after the first step of Revoke leaves the rows as they were.
func TestARevocationThatNoRowSaysYetReachesReplicasWithinTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		for range 9 { // whenever rows and revocations were read last
			want(t, authenticate(t, app, "site", first), "")
			pass(700 * time.Millisecond)
		}
		store.mustRevoke(t, first)
		pass(5 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
	})
}

// lateReader answers with what it read a while ago.
type lateReader struct {
	core.Store
	late atomic.Int64 // nanoseconds
}

func (s *lateReader) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	row, err := s.Store.Get(ctx, key)
	pass(time.Duration(s.late.Load()))
	return row, err
}

func TestAReadUnderWayDoesNotBringARevokedSecretBack(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		late := &lateReader{Store: store}
		app := replica(func(c *core.Config) { c.Store, c.CacheTTL, c.MaxStale = late, time.Hour, time.Hour })
		want(t, authenticate(t, app, "unknown", first), core.ReasonUnknownTenant)
		late.late.Store(int64(500 * time.Millisecond))
		answer := make(chan core.ReasonCode)
		go func() { answer <- authenticate(t, app, "site", first) }()
		pass(100 * time.Millisecond)
		revoke(t, app, fingerprintOf(t, first), 1)
		want(t, <-answer, core.ReasonBadSignature) // it was never seen in use
		want(t, authenticate(t, app, "site", first), core.ReasonBadSignature)
	})
}

func TestWithoutTheRevocationsKnownTenantsAreServedForMaxStale(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "site", first), "")
		quiet(t, app)
		store.down.Store(true)
		pass(50 * time.Second)
		want(t, authenticate(t, app, "site", first), "")
		pass(15 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonStore)
	})
}

func TestAConfiguredRevocationNeedsNoStore(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.RevokedFingerprints = []core.Fingerprint{fingerprintOf(t, first)} })
		want(t, authenticate(t, app, "site", first), core.ReasonBadSignature) // it was never seen in use
		store.rotate(t)
		want(t, authenticate(t, app, "site", second), "")
	})
}

func TestAClockThatWasSetBackDelaysNoRevocation(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		var ahead atomic.Int64
		app := replica(func(c *core.Config) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		ahead.Store(int64(20 * time.Second))
		want(t, authenticate(t, app, "site", first), "")
		ahead.Store(0)
		store.mustRevoke(t, first)
		pass(6 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
	})
}

func TestARowIsAsOldAsWhatWasKnownOfRevocations(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "site", first), "")
		quiet(t, app)
		pass(10 * time.Second)
		want(t, authenticate(t, app, "unknown", first), core.ReasonUnknownTenant) // reads the revocations
		store.mustRevoke(t, first)
		pass(900 * time.Millisecond)
		want(t, authenticate(t, app, "site", first), "") // reads the row
		pass(4200 * time.Millisecond)
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
	})
}

func TestARevocationKeepsThoseBeforeIt(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.CacheTTL, c.MaxStale = time.Hour, time.Hour })
		want(t, authenticate(t, app, "unknown", first), core.ReasonUnknownTenant)
		store.mustRevoke(t, first) // and no row says so
		if _, err := app.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		revoke(t, app, fingerprintOf(t, second), 0)
		store.change(t, func(row *core.Installation) {
			value, err := core.NewSecret(first)
			if err != nil {
				t.Fatal(err)
			}
			row.Secrets = []core.StoredSecret{{Fingerprint: value.Fingerprint(), State: core.Usable, Value: value}}
		})
		if got := authenticate(t, app, "site", first); got == "" {
			t.Error("the second revocation has undone the first")
		}
	})
}

// lateRevocations answers with what it read a while ago.
type lateRevocations struct {
	core.Store
	late atomic.Int64 // nanoseconds
}

func (s *lateRevocations) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	revocations, err := s.Store.Revocations(ctx, appKey)
	pass(time.Duration(s.late.Load()))
	return revocations, err
}

func TestAReadOfRevocationsUnderWayForgetsNone(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		late := &lateRevocations{Store: store}
		late.late.Store(int64(500 * time.Millisecond))
		app := replica(func(c *core.Config) { c.Store = late })
		answer := make(chan core.ReasonCode)
		go func() { answer <- authenticate(t, app, "unknown", first) }()
		pass(100 * time.Millisecond)
		late.late.Store(0)
		const third = "a secret that no row has yet"
		revoke(t, app, fingerprintOf(t, third), 0)
		store.install(t, "other", third)
		<-answer
		want(t, authenticate(t, app, "other", third), core.ReasonBadSignature)
	})
}

// failsLate fails one read, after a while.
type failsLate struct {
	core.Store
	fail atomic.Bool
}

func (s *failsLate) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	if s.fail.CompareAndSwap(true, false) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Get(ctx, key)
}

func TestARequestThatWaitedInVainIsHeldAgainstWhatWasRevokedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		late := &failsLate{Store: store}
		app := replica(func(c *core.Config) { c.Store = late })
		want(t, authenticate(t, app, "site", first), "")
		quiet(t, app)
		pass(6 * time.Second)
		late.fail.Store(true)
		answer := make(chan core.ReasonCode)
		go func() { answer <- authenticate(t, app, "site", first) }()
		pass(100 * time.Millisecond)
		revoke(t, app, fingerprintOf(t, first), 1)
		want(t, <-answer, core.ReasonRevoked)
	})
}

func TestARestoredRowIsCachedAlsoWithOlderRevocations(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.CacheTTL, c.MaxStale = time.Hour, time.Hour })
		for range 5 { // revisions that the backup does not have
			store.change(t, func(*core.Installation) {})
		}
		want(t, authenticate(t, app, "site", first), "")
		quiet(t, app)
		pass(55 * time.Minute)
		want(t, authenticate(t, app, "unknown", first), core.ReasonUnknownTenant) // reads the revocations
		store.Store = memstore.New()
		store.install(t, "site", first)
		store.change(t, func(row *core.Installation) { row.LastOffer = time.Now().Add(time.Hour) }) // so there is nothing to record
		pass(6 * time.Minute)
		before := store.gets.Load()
		for range 10 {
			want(t, authenticate(t, app, "site", first), "")
			pass(time.Second)
		}
		if reads := store.gets.Load() - before; reads > 1 {
			t.Errorf("10 requests made %d reads, want one", reads)
		}
	})
}
