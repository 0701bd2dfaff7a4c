package core_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// Revocations of a secret that all sites may sign with.

func TestARowThatWasBoundToTheRevokedSecretOnlyWaitsForAnotherAppWideOne(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	b.wantGet(t, b.site, appWide1, http.StatusOK, "")
	revoke(t, b.app, fingerprintOf(t, appWide1), 1)
	b.wantGet(t, b.site, appWide1, http.StatusUnauthorized, core.ReasonRevoked)
	b.wantGet(t, b.site, "a guess of a stranger", http.StatusUnauthorized, core.ReasonBadSignature)
	wantSecrets(t, b.row(t), "(1)")
	b.wantGet(t, b.site, appWide2, http.StatusOK, "")
	b.recorded(t)
	wantSecrets(t, b.row(t), "(1) 2")
	b.wantGet(t, b.site, appWide2, http.StatusOK, "")
	b.wantGet(t, b.site, appWide1, http.StatusUnauthorized, core.ReasonRevoked)
}

func TestARowThatWasBoundToTheOnlyAppWideSecretIsLockedOutUntilACallback(t *testing.T) {
	t.Parallel()
	source := newVault(t, appWide1)
	b := setup(t, asks(source))
	b.bindTo(t, b.site, appWide1)
	revoke(t, b.app, fingerprintOf(t, appWide1), 1)
	b.wantGet(t, b.site, appWide1, http.StatusUnauthorized, core.ReasonRevoked)
	b.wantGet(t, b.site, appWide2, http.StatusUnauthorized, core.ReasonBadSignature)
	b.wantRefused(t, b.site.Callback(fakehost.Installed).Offer(appWide1), 401, core.ReasonRevoked)
	b.clock.advance(time.Second)
	b.wantRefused(t, b.site.Callback(fakehost.Installed).OfferNothing(), 400, core.ReasonSecretMissing)
	b.clock.advance(time.Second)

	source.holds(t, appWide2, appWide1) // though the old one is still there
	b.clock.advance(10 * time.Second)
	b.wantGet(t, b.site, appWide2, http.StatusOK, "")
	b.wantGet(t, b.site, appWide1, http.StatusUnauthorized, core.ReasonRevoked)

	other := b.newSite(t, fakehost.Config{})
	if _, err := other.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantGet(t, other, other.Secret(), http.StatusOK, "")
}

func TestARowThatWasBoundToTheRevokedSecretIsMendedByACallback(t *testing.T) {
	t.Parallel()
	for rule, prepare := range map[string]func(*fakehost.Callback){
		"with another app-wide secret": func(c *fakehost.Callback) { c.Offer(appWide2) },
		"with a secret of its own":     func(*fakehost.Callback) {},
		"with none": func(c *fakehost.Callback) {
			c.OfferNothing().Secret = appWide2
		},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			b := setup(t, withAppSecrets(t, appWide2, appWide1))
			b.bindTo(t, b.site, appWide1)
			revoke(t, b.app, fingerprintOf(t, appWide1), 1)
			callback := b.site.Callback(fakehost.Installed)
			prepare(callback)
			if _, err := callback.Send(t.Context()); err != nil {
				t.Fatalf("%v; the app says %s", err, b.log.reason())
			}
			b.wantPage(t, http.StatusOK, "")
		})
	}
}

// Whoever has a row in the cache that says nothing of the secret must not go on with it.
func TestARevokedAppWideSecretVerifiesNothingHereAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(withAppSecrets(t, appWide2, appWide1), func(c *core.Config) { c.CacheTTL, c.MaxStale = time.Hour, time.Hour })
		there := replica(withAppSecrets(t, appWide2, appWide1))
		store.bind(t, "bound-to-it", appWide1)
		store.bind(t, "bound-to-another", appWide2)
		store.bind(t, "bound-to-both", appWide1, appWide2)
		sites := []string{"bound-to-it", "bound-to-another", "bound-to-both"}
		for _, clientKey := range sites {
			want(t, authenticate(t, app, clientKey, appWide2), "")
			want(t, authenticate(t, there, clientKey, appWide2), "")
		}
		store.unwritable.Store(true) // so that nothing but the revocation itself is known
		if _, err := app.Revoke(t.Context(), fingerprintOf(t, appWide1), "r"); err == nil {
			t.Error("got no error, though no row could be written")
		}
		store.down.Store(true)
		for _, clientKey := range sites {
			if got := authenticate(t, app, clientKey, appWide1); got == "" {
				t.Errorf("%s: served with the revoked secret", clientKey)
			}
			want(t, authenticate(t, app, clientKey, appWide2), "")
		}
		store.down.Store(false)
		pass(5 * time.Second)
		for _, clientKey := range sites {
			if got := authenticate(t, there, clientKey, appWide1); got == "" {
				t.Errorf("%s, on another replica: served with the revoked secret", clientKey)
			}
			want(t, authenticate(t, there, clientKey, appWide2), "")
		}
	})
}

func TestAnAppWideSecretMayBeRevokedForOneTenantOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(withAppSecrets(t, appWide2, appWide1))
		store.bind(t, "one", appWide2) // which has no entry for what is revoked
		store.bind(t, "two", appWide1)
		store.bind(t, "three", appWide2)
		for _, clientKey := range []string{"one", "two", "three"} {
			want(t, authenticate(t, app, clientKey, appWide2), "")
		}
		quiet(t, app)
		for _, clientKey := range []string{"one", "two"} {
			if err := app.RevokeFor(t.Context(), clientKey, fingerprintOf(t, appWide1), "r"); err != nil {
				t.Fatal(err)
			}
		}
		for _, later := range []time.Duration{0, time.Minute} {
			pass(later)
			want(t, authenticate(t, app, "one", appWide1), core.ReasonBadSignature)
			want(t, authenticate(t, app, "two", appWide1), core.ReasonRevoked)
			want(t, authenticate(t, app, "three", appWide1), "")
			for _, clientKey := range []string{"one", "two", "three"} {
				want(t, authenticate(t, app, clientKey, appWide2), "")
			}
		}
	})
}

func TestAnAppWideSecretThatTheConfigurationRevokesVerifiesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(withAppSecrets(t, appWide2, appWide1), func(c *core.Config) {
			c.RevokedFingerprints = []core.Fingerprint{fingerprintOf(t, appWide1)}
		})
		store.bind(t, "one", appWide1)
		store.bind(t, "two", appWide2)
		want(t, authenticate(t, app, "one", appWide1), core.ReasonRevoked)
		want(t, authenticate(t, app, "two", appWide1), core.ReasonBadSignature)
		want(t, authenticate(t, app, "one", appWide2), "")
		want(t, authenticate(t, app, "two", appWide2), "")
	})
}

// A token that was verified before the revocation is recorded after it.
func TestARevocationMeanwhileLeavesNothingToBind(t *testing.T) {
	t.Parallel()
	b := setup(t, withAppSecrets(t, appWide2, appWide1))
	b.bindTo(t, b.site, appWide1)
	b.store.before.Store(new(func() { revoke(t, b.app, fingerprintOf(t, appWide2), 0) }))
	if answer, _ := b.get(t, b.site, appWide2); answer.StatusCode != http.StatusOK {
		t.Errorf("before the revocation: got %d, want 200", answer.StatusCode)
	}
	b.recorded(t)
	if answer, _ := b.get(t, b.site, appWide2); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("after it: got %d, want 401", answer.StatusCode)
	}
	if _, err := b.app.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.row(t).Secrets {
		if s.Fingerprint == fingerprintOf(t, appWide2) && s.State != core.Revoked {
			t.Errorf("got it %s, want it revoked", s.State)
		}
	}
}

func TestExposureOfAnAppWideSecretNamesEveryBoundSite(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		one, two := fingerprintOf(t, appWide1), fingerprintOf(t, appWide2)
		put := func(clientKey string, change func(row *core.Installation), values ...string) {
			t.Helper()
			store.bind(t, clientKey, values...)
			row, err := store.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: clientKey})
			if err != nil {
				t.Fatal(err)
			}
			change(row)
			if _, err := store.Store.Put(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		asIs := func(*core.Installation) {}
		run := func(f core.Fingerprint) func(*core.Installation) {
			return func(row *core.Installation) { row.Run.Fingerprint = f }
		}
		symmetric := func(row *core.Installation) { row.Signing = core.SignedHS256 }
		put("a: only", asIs, appWide1)
		put("b: only, symmetric", symmetric, appWide1)
		put("c: moving", asIs, appWide1, appWide2)
		put("d: moved", run(two), appWide1, appWide2)
		put("e: not moved", run(one), appWide1, appWide2)
		put("f: no entry for it", asIs, appWide2)
		put("g: no entry for it, and seen on another", run(two), appWide2)
		put("h: its own too", func(row *core.Installation) {
			row.Secrets = append(row.Secrets, core.StoredSecret{
				Fingerprint: fingerprintOf(t, first), State: core.Usable, Value: appSecrets(t, first)[0],
			})
		}, appWide1)
		put("i: contested", func(row *core.Installation) { row.Run.Fingerprint, row.Contested = two, true }, appWide1, appWide2)
		put("not: left behind", func(row *core.Installation) { row.Secrets[0].State = core.Retired }, appWide1, appWide2)
		put("not: revoked", func(row *core.Installation) { row.Secrets[0].State = core.Revoked }, appWide1, appWide2)
		put("not: uninstalled", func(row *core.Installation) {
			row.State, row.Secrets[0].State = core.Uninstalled, core.Retired
		}, appWide1)

		standings := func(app *core.App) map[string]core.Standing {
			t.Helper()
			found := map[string]core.Standing{}
			for exposed, err := range app.Exposure(t.Context(), one) {
				if err != nil {
					t.Fatal(err)
				}
				found[exposed.Key.ClientKey] = exposed.Standing
			}
			return found
		}
		for name, c := range map[string]struct {
			app  *core.App
			want map[string]core.Standing
		}{
			"both are configured": {replica(withAppSecrets(t, appWide2, appWide1)), map[string]core.Standing{
				"a: only": core.StandingOnly, "b: only, symmetric": core.StandingOnlyKey, // it was not sent the other one
				"c: moving": core.StandingUnsettled, "d: moved": core.StandingReplaced, "e: not moved": core.StandingInUse,
				"f: no entry for it": core.StandingUnsettled, "g: no entry for it, and seen on another": core.StandingReplaced,
				"h: its own too": core.StandingUnsettled, "i: contested": core.StandingUnsettled,
			}},
			"it alone is configured": {replica(withAppSecrets(t, appWide1)), map[string]core.Standing{
				"a: only": core.StandingOnly, "b: only, symmetric": core.StandingOnlyKey,
				"c: moving": core.StandingUnsettled, "d: moved": core.StandingReplaced, "e: not moved": core.StandingInUse,
				"f: no entry for it": core.StandingUnsettled, "g: no entry for it, and seen on another": core.StandingReplaced,
				"h: its own too": core.StandingUnsettled, "i: contested": core.StandingUnsettled,
			}},
			"it is configured no more": {replica(withAppSecrets(t, appWide2)), map[string]core.Standing{
				"a: only": core.StandingOnly, "b: only, symmetric": core.StandingOnlyKey,
				"c: moving": core.StandingUnsettled, "d: moved": core.StandingReplaced, "e: not moved": core.StandingInUse,
				"h: its own too": core.StandingUnsettled, "i: contested": core.StandingUnsettled,
			}},
		} {
			got := standings(c.app)
			for clientKey, standing := range c.want {
				if got[clientKey] != standing {
					t.Errorf("%s: %s: got %q, want %q", name, clientKey, got[clientKey], standing)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("%s: got %v, want %v", name, got, c.want)
			}
		}
		// What is listed is what loses it.
		app := replica(withAppSecrets(t, appWide2, appWide1))
		revoke(t, app, one, 9) // "f" and "g" have no entry to lose; of two that are not listed the history is rid of it
		if got := standings(app); len(got) > 0 {
			t.Errorf("after the revocation: got %v, want nobody", got)
		}
	})
}
