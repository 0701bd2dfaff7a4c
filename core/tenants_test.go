package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/qsh"
)

// The cache, with the time of a synctest bubble: nothing here waits.

const (
	first  = "the first secret of a site"
	second = "the second secret of a site"
)

// inBubble runs a test with a store, and a function that makes replicas on it.
func inBubble(t *testing.T, test func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App)) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: memstore.New()}
		store.install(t, "site", first)
		test(t, store, func(configure ...func(*core.Config)) *core.App {
			config := core.Config{
				AppKey: appKey, BaseURL: "https://app.example.com", Store: store, Logger: slog.New(new(journal)),
			}
			for _, change := range configure {
				change(&config)
			}
			return newApp(t, config)
		})
	})
}

// authenticate sends a request that a site has signed with the secret now, and returns why it was refused, or "".
func authenticate(t *testing.T, app *core.App, clientKey, secret string) core.ReasonCode {
	t.Helper()
	now := time.Now().Unix()
	token := &fakehost.Token{
		Header: map[string]any{"alg": "HS256", "typ": "JWT"},
		Claims: map[string]any{"iss": clientKey, "iat": now, "exp": now + 180, "qsh": qsh.Hash(http.MethodGet, "/panel", "")},
		Key:    []byte(secret),
	}
	_, err := app.Authenticate(t.Context(), request(t, token, "/panel"))
	return core.Reason(err)
}

// rotate offers the site's second secret, as a callback on another replica does.
func (s *faultyStore) rotate(t *testing.T) {
	t.Helper()
	s.change(t, func(row *core.Installation) {
		value, err := core.NewSecret(second)
		if err != nil {
			t.Fatal(err)
		}
		row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: value.Fingerprint(), State: core.Usable, Value: value})
		row.LastOffer = time.Now().UTC().Truncate(time.Second)
	})
}

func (s *faultyStore) change(t *testing.T, change func(*core.Installation)) {
	t.Helper()
	synctest.Wait() // for what earlier requests have left to be recorded
	row, err := s.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "site"})
	if err != nil {
		t.Fatal(err)
	}
	change(row)
	if _, err := s.Store.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

func (s *faultyStore) wantReads(t *testing.T, want int32) {
	t.Helper()
	synctest.Wait()
	if got := s.gets.Load(); got != want {
		t.Errorf("reads of the store: got %d, want %d", got, want)
	}
}

// pass lets time go by in the bubble.
func pass(d time.Duration) { <-time.After(d) }

func want(t *testing.T, got, want core.ReasonCode) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// quiet settles the row's evidence, so that what a test counts is reads for verification.
func quiet(t *testing.T, app *core.App) {
	t.Helper()
	if err := core.Flush(t.Context(), app); err != nil {
		t.Fatal(err)
	}
}

func TestCacheReadsTheStoreOnceATTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.change(t, func(row *core.Installation) { row.LastOffer = time.Now().UTC().Truncate(time.Second) }) // no evidence yet
		for range 3 {
			want(t, authenticate(t, app, "site", first), "")
			pass(time.Second)
		}
		store.wantReads(t, 1)
		pass(3 * time.Second)
		want(t, authenticate(t, app, "site", first), "")
		store.wantReads(t, 2)
	})
}

func TestCacheWithANegativeTTLReadsTheStoreEachTime(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.CacheTTL = -1 })
		want(t, authenticate(t, app, "site", first), "")
		store.change(t, func(row *core.Installation) { row.State = core.Uninstalled })
		want(t, authenticate(t, app, "site", first), core.ReasonNotInstalled)
	})
}

func TestCacheAsksOnceForManyRequestsOfOneTenant(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.change(t, func(row *core.Installation) { row.LastOffer = time.Now().UTC().Truncate(time.Second) })
		store.slow.Store(int64(100 * time.Millisecond))
		var requests sync.WaitGroup
		for range 100 {
			requests.Go(func() { want(t, authenticate(t, app, "site", first), "") })
		}
		requests.Wait()
		store.wantReads(t, 1)
	})
}

func TestARotationOnOneReplicaIsKnownToAllAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "site", first), "")
		store.rotate(t)
		began := time.Now()
		want(t, authenticate(t, app, "site", second), "")
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("the first request on the new secret waited for %v", waited)
		}
		want(t, authenticate(t, app, "site", first), "")
	})
}

func TestAnInstallOnOneReplicaIsKnownToAllAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "new", second), core.ReasonUnknownTenant)
		store.install(t, "new", second)
		want(t, authenticate(t, app, "new", second), "")
	})
}

func TestAnUninstallOnOneReplicaIsKnownToAllWithinTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "site", first), "")
		store.change(t, func(row *core.Installation) { row.State = core.Uninstalled })
		pass(5 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonNotInstalled)
	})
}

func TestBadSignaturesReadTheStoreOnceASecondATenant(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		var requests sync.WaitGroup
		for range 50 {
			for range 20 {
				requests.Go(func() { want(t, authenticate(t, app, "site", "a guess of a stranger"), core.ReasonBadSignature) })
			}
			pass(100 * time.Millisecond)
		}
		requests.Wait()
		if got := store.gets.Load(); got > 7 {
			t.Errorf("1,000 guesses within 5 seconds made %d reads, want one a second", got)
		}
	})
}

func TestWhileTheStoreIsDownKnownTenantsAreServedForMaxStale(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		want(t, authenticate(t, app, "site", first), "")
		quiet(t, app)
		store.down.Store(true)
		for range 59 {
			pass(time.Second)
			for range 10 {
				want(t, authenticate(t, app, "site", first), "")
			}
		}
		if probes := store.failed.Load(); probes < 30 || probes > 60 {
			t.Errorf("the store that is down was asked %d times in 59 seconds, want once a second", probes)
		}
		want(t, authenticate(t, app, "stranger", first), core.ReasonStore)
		pass(2 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonStore)
		store.down.Store(false)
		want(t, authenticate(t, app, "site", first), "")
	})
}

func TestOneReadThatFailsTurnsNobodyElseAway(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.down.Store(true)
		want(t, authenticate(t, app, "another", first), core.ReasonStore)
		store.down.Store(false)
		want(t, authenticate(t, app, "site", first), "")
	})
}

func TestAStoreThatHangsIsGivenASecond(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.slow.Store(int64(time.Hour))
		began := time.Now()
		want(t, authenticate(t, app, "site", first), core.ReasonStore)
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("waited for %v, want a second at most", waited)
		}
	})
}

func TestAStoreThatPanicsIsAStoreThatDoesNotAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.Store = nil
		want(t, authenticate(t, app, "site", first), core.ReasonStore)
	})
}

func TestAClockThatWasSetBackMakesNobodyWait(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		var back atomic.Int64
		app := replica(func(c *core.Config) {
			c.Now = func() time.Time { return time.Now().Round(0).Add(-time.Duration(back.Load())) }
			c.Leeway = 5 * time.Minute
		})
		want(t, authenticate(t, app, "site", first), "")
		back.Store(int64(4 * time.Minute))
		store.rotate(t)
		began := time.Now()
		want(t, authenticate(t, app, "site", second), "")
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("waited for %v", waited)
		}
	})
}

func TestReadsUnderWayAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.slow.Store(int64(time.Hour))
		reasons := make(chan core.ReasonCode, 200)
		for n := range cap(reasons) {
			go func() { reasons <- authenticate(t, app, fmt.Sprint("stranger-", n), first) }()
		}
		count := map[core.ReasonCode]int{}
		for range cap(reasons) {
			count[<-reasons]++
		}
		if count[core.ReasonStore] != 64 || count[core.ReasonOverload] != 136 {
			t.Errorf("got %v, want 64 that waited for the store and 136 turned away", count)
		}
	})
}

func TestGuessesPushNoTenantOutOfTheCache(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.CacheTTL, c.MaxStale = time.Hour, time.Hour })
		want(t, authenticate(t, app, "site", first), "")
		for n := range 20_000 {
			want(t, authenticate(t, app, fmt.Sprint("stranger-", n), first), core.ReasonUnknownTenant)
		}
		store.down.Store(true)
		want(t, authenticate(t, app, "site", first), "")
	})
}

func TestARequestThatIsCancelledWaitsNoLonger(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.slow.Store(int64(time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		token := &fakehost.Token{
			Header: map[string]any{"alg": "HS256"},
			Claims: map[string]any{"iss": "site", "iat": time.Now().Unix(), "exp": time.Now().Unix() + 60, "qsh": "x"},
			Key:    []byte(first),
		}
		began := time.Now()
		_, err := app.Authenticate(ctx, request(t, token, "/panel"))
		want(t, core.Reason(err), core.ReasonStore)
		if waited := time.Since(began); waited > 10*time.Millisecond {
			t.Errorf("waited for %v after the request was cancelled", waited)
		}
		pass(time.Second) // the read has a patience of its own
	})
}

func TestMaintainRunsOnATicker(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		store.change(t, func(row *core.Installation) {
			row.Secrets = append(row.Secrets, core.StoredSecret{
				Fingerprint: "of long ago", State: core.Retired, RetiredAt: time.Now().UTC().AddDate(-1, 0, 0),
			})
		})
		replica(func(c *core.Config) { c.MaintainEvery = 24 * time.Hour })
		pass(24*time.Hour + time.Second)
		synctest.Wait()
		row, err := store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "site"})
		if err != nil || len(row.Secrets) != 1 {
			t.Errorf("got %d secrets, %v, want the history dropped", len(row.Secrets), err)
		}
	})
}
