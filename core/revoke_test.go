package core_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

func fingerprintOf(t *testing.T, secret string) core.Fingerprint {
	t.Helper()
	value, err := core.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	return value.Fingerprint()
}

func revoke(t *testing.T, app *core.App, revocation core.Revocation, want int) {
	t.Helper()
	revocation.Reason = "found in a log"
	got, err := app.Revoke(t.Context(), revocation)
	if err != nil || got != want {
		t.Errorf("Revoke: got %d installations, %v, want %d", got, err, want)
	}
}

func TestARevokedSecretVerifiesNothingHereAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	leaked := core.Fingerprint(b.site.Fingerprint())
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	stolen := b.site.Token(http.MethodGet, "/panel")
	b.clock.advance(time.Second)
	kept := core.Fingerprint(b.site.Fingerprint())

	revoke(t, b.app, core.Revocation{Fingerprint: kept}, 1)
	b.log.clear()
	answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", stolen, nil)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || b.log.reason() != core.ReasonRevoked {
		t.Errorf("a page signed with the revoked secret: got %d %q, %v, want 401", answer.StatusCode, b.log.reason(), err)
	}
	row := b.row(t)
	if got := []core.SecretState{row.Secrets[0].State, row.Secrets[1].State}; row.Secrets[0].Fingerprint != leaked ||
		!slices.Equal(got, []core.SecretState{core.Usable, core.Revoked}) || !row.Secrets[1].Value.IsZero() {
		t.Errorf("stored: got %v, want the first usable, and the second revoked and erased", got)
	}
	if strings.Contains(b.log.String(), b.site.Secret()) {
		t.Error("the secret is in the log")
	}
}

func TestARevokedSecretIsNeverAcceptedFromACallback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	const leaked = "a secret that everybody knows"
	for _, clientKey := range []string{"", b.site.ClientKey()} {
		revoke(t, b.app, core.Revocation{Fingerprint: fingerprintOf(t, leaked), ClientKey: clientKey}, 0)
	}
	b.wantRefused(t, b.site.Callback(fakehost.Installed).Offer(leaked), 401, core.ReasonRevoked)

	stranger := b.newSite(t, fakehost.Config{})
	if status := b.post(t, stranger.Callback(fakehost.Installed).Offer(leaked)); status != 401 || b.rowOf(t, stranger) != nil {
		t.Errorf("first install: got %d, want 401 and no row", status)
	}
	b.wantPage(t, http.StatusOK, "")
}

func TestASecretMayBeRevokedForOneTenantOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const shared = "a secret that two sites have"
	sites := []*fakehost.Site{b.site, b.newSite(t, fakehost.Config{})}
	for _, site := range sites {
		if _, err := site.Callback(fakehost.Installed).Offer(shared).Send(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantPages := func(want ...int) {
		t.Helper()
		for n, site := range sites {
			if answer, err := site.Get(t.Context(), "/panel"); err != nil || answer.StatusCode != want[n] {
				t.Errorf("site %d: got %d, %v, want %d", n, answer.StatusCode, err, want[n])
			}
		}
	}
	wantPages(200, 200)
	revoke(t, b.app, core.Revocation{Fingerprint: fingerprintOf(t, shared), ClientKey: sites[1].ClientKey()}, 1)
	wantPages(200, 401)
	revoke(t, b.app, core.Revocation{Fingerprint: fingerprintOf(t, shared)}, 1)
	wantPages(401, 401)
	// The way back in is another secret.
	if _, err := sites[1].Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPages(401, 200)
}

func TestARevocationReachesOtherReplicasWithinTheTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		here, there := replica(), replica()
		store.rotate(t)
		want(t, authenticate(t, there, "site", first), "")
		pass(4 * time.Second)
		want(t, authenticate(t, there, "site", first), "")
		revoke(t, here, core.Revocation{Fingerprint: fingerprintOf(t, first)}, 1)
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
		err := store.Store.Revoke(t.Context(), core.Revocation{AppKey: appKey, Fingerprint: fingerprintOf(t, first)})
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
	})
}

// lateReader answers with what it read a while ago.
type lateReader struct {
	core.Store
	late time.Duration
}

func (s *lateReader) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	row, err := s.Store.Get(ctx, key)
	pass(s.late)
	return row, err
}

func TestAReadUnderWayDoesNotBringARevokedSecretBack(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		late := &lateReader{Store: store}
		app := replica(func(c *core.Config) { c.Store, c.CacheTTL, c.MaxStale = late, time.Hour, time.Hour })
		want(t, authenticate(t, app, "unknown", first), core.ReasonUnknownTenant)
		late.late = 500 * time.Millisecond
		answer := make(chan core.ReasonCode)
		go func() { answer <- authenticate(t, app, "site", first) }()
		pass(100 * time.Millisecond)
		revoke(t, app, core.Revocation{Fingerprint: fingerprintOf(t, first)}, 1)
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

func TestRevokeGoesOnWhereItWasStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.install(t, "another site", first)
		leaked := core.Revocation{Fingerprint: fingerprintOf(t, first), Reason: "found in a log"}

		store.down.Store(true)
		if n, err := app.Revoke(t.Context(), leaked); err == nil || n != 0 {
			t.Errorf("with the store down: got %d, %v, want an error", n, err)
		}
		store.down.Store(false)
		want(t, authenticate(t, app, "site", first), "")

		store.unwritable.Store(true)
		if n, err := app.Revoke(t.Context(), leaked); err == nil || n != 0 {
			t.Errorf("with rows that cannot be written: got %d, %v, want an error", n, err)
		}
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
		store.unwritable.Store(false)
		revoke(t, app, leaked, 2)
		revoke(t, app, leaked, 0)
	})
}

func TestRevokeTakesNoPartOfAFingerprint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := fingerprintOf(t, first)
	for _, revocation := range []core.Revocation{
		{Fingerprint: "", Reason: "r"},
		{Fingerprint: core.Fingerprint(whole.Short()), Reason: "r"},
		{Fingerprint: core.Fingerprint(strings.ToUpper(string(whole))), Reason: "r"},
		{Fingerprint: whole},
	} {
		if _, err := b.app.Revoke(t.Context(), revocation); err == nil {
			t.Errorf("%+v: got no error", revocation)
		}
	}
	if got, err := b.store.Store.Revocations(t.Context(), appKey); err != nil || len(got) != 0 {
		t.Errorf("stored %v, %v, want nothing", got, err)
	}
}

func TestExposureSaysWhatEachSiteWouldBeLeftWith(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const leaked = "a secret that leaks one day"
	sites := map[string]core.Standing{}
	for _, c := range []struct {
		clientKey string
		rotates   bool
		visits    int // each Settle after the one before
		leaves    bool
		want      core.Standing // "" if the secret verifies nothing for the site any more
	}{
		{"a", false, 2, false, core.StandingOnly},
		{"b", true, 0, false, core.StandingUnsettled},
		{"c", true, 1, false, core.StandingReplaced},
		{"d", true, 2, false, ""},
		{"e", false, 0, true, ""},
	} {
		site := b.newSite(t, fakehost.Config{ClientKey: c.clientKey})
		do := func(what func(context.Context) (fakehost.Answer, error)) {
			t.Helper()
			if _, err := what(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.clock.advance(time.Second)
		}
		do(site.Callback(fakehost.Installed).Offer(leaked).Send)
		if c.rotates {
			do(site.Rotate)
		}
		if c.leaves {
			do(site.Uninstall)
		}
		for range c.visits {
			b.clock.advance(15 * time.Minute)
			do(func(ctx context.Context) (fakehost.Answer, error) { return site.Get(ctx, "/panel") })
			b.recorded(t)
		}
		if c.want != "" {
			sites[c.clientKey] = c.want
		}
	}
	var order []string
	for exposed, err := range b.app.Exposure(t.Context(), fingerprintOf(t, leaked)) {
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, exposed.Key.ClientKey)
		if exposed.Standing != sites[exposed.Key.ClientKey] {
			t.Errorf("%s: got %s, want %s", exposed.Key.ClientKey, exposed.Standing, sites[exposed.Key.ClientKey])
		}
	}
	if len(order) != len(sites) || !slices.IsSorted(order) {
		t.Errorf("got %v, want %v, sorted", order, sites)
	}
}
