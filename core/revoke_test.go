package core_test

import (
	"context"
	"errors"
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

func revoke(t *testing.T, app *core.App, f core.Fingerprint, want int) {
	t.Helper()
	if got, err := app.Revoke(t.Context(), f, "found in a log"); err != nil || got != want {
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

	revoke(t, b.app, kept, 1)
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
	revoke(t, b.app, fingerprintOf(t, leaked), 0)
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
	if err := b.app.RevokeFor(t.Context(), sites[1].ClientKey(), fingerprintOf(t, shared), "found in a log"); err != nil {
		t.Fatal(err)
	}
	wantPages(200, 401)
	for _, clientKey := range []string{"", "no-such-tenant"} {
		if err := b.app.RevokeFor(t.Context(), clientKey, fingerprintOf(t, shared), "r"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("for tenant %q: got %v, want ErrNotFound", clientKey, err)
		}
	}
	wantPages(200, 401)
	revoke(t, b.app, fingerprintOf(t, shared), 1)
	wantPages(401, 401)
	// The way back in is another secret.
	if _, err := sites[1].Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPages(401, 200)
}

func TestRevokeGoesOnWhereItWasStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.install(t, "another site", first)
		leaked := fingerprintOf(t, first)

		store.down.Store(true)
		if n, err := app.Revoke(t.Context(), leaked, "r"); err == nil || n != 0 {
			t.Errorf("with the store down: got %d, %v, want an error", n, err)
		}
		store.down.Store(false)
		want(t, authenticate(t, app, "site", first), "")

		store.unwritable.Store(true)
		if n, err := app.Revoke(t.Context(), leaked, "r"); err == nil || n != 0 {
			t.Errorf("with rows that cannot be written: got %d, %v, want an error", n, err)
		}
		want(t, authenticate(t, app, "site", first), core.ReasonRevoked)
		for exposed := range app.Exposure(t.Context(), leaked) {
			t.Errorf("%s is said to be exposed to a secret that verifies nothing", exposed.Key.ClientKey)
		}
		store.unwritable.Store(false)
		revoke(t, app, leaked, 2)
		revoke(t, app, leaked, 0)
	})
}

// poisoned cannot write one row.
type poisoned struct {
	core.Store
	clientKey string
}

func (s *poisoned) Put(ctx context.Context, row *core.Installation) (int64, error) {
	if row.Key.ClientKey == s.clientKey {
		return 0, errDown
	}
	return s.Store.Put(ctx, row)
}

func TestARowThatCannotBeWrittenKeepsRevokeFromNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.Store = &poisoned{store, "aaa"} })
		store.install(t, "aaa", first)
		n, err := app.Revoke(t.Context(), fingerprintOf(t, first), "r")
		if n != 1 || !errors.Is(err, errDown) || !strings.Contains(err.Error(), `"aaa"`) {
			t.Errorf("got %d, %v, want 1 and an error that names the other", n, err)
		}
	})
}

func TestARevokeThatIsCancelledTriesNoFurtherRow(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		store.install(t, "aaa", first)
		ctx, cancel := context.WithCancel(t.Context())
		meanwhile := func() { cancel() }
		store.before.Store(&meanwhile)
		n, err := app.Revoke(ctx, fingerprintOf(t, first), "r")
		if n != 0 || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"aaa"`) || strings.Contains(err.Error(), `"site"`) {
			t.Errorf("got %d, %v, want 0 and an error that names the first site only", n, err)
		}
	})
}

// The site would be told yes, and sign with it.
func TestACallbackThatWasAppliedIsRefusedOnceItsSecretIsRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	const leaked = "a secret that is revoked soon"
	callback := b.site.Callback(fakehost.Installed).Offer(leaked)
	if status := b.post(t, callback); status != http.StatusNoContent {
		t.Fatalf("got %d, want 204", status)
	}
	revoke(t, b.app, fingerprintOf(t, leaked), 1)
	b.wantRefused(t, callback, 401, core.ReasonRevoked)
}

func TestWhatACallbackBringsWhileItIsRevokedIsErasedByMaintain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	const leaked = "a secret that is offered meanwhile"
	meanwhile := func() { revoke(t, b.app, fingerprintOf(t, leaked), 0) }
	b.store.before.Store(&meanwhile)
	_ = b.post(t, b.site.Callback(fakehost.Installed).Offer(leaked))
	token := b.site.Token(http.MethodGet, "/panel")
	token.Key = []byte(leaked)
	if answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", token, nil); err != nil || answer.StatusCode != 401 {
		t.Errorf("a page: got %d, %v, want 401", answer.StatusCode, err)
	}
	if _, err := b.app.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range b.row(t).Secrets {
		if s.Fingerprint == fingerprintOf(t, leaked) && (s.State != core.Revoked || !s.Value.IsZero()) {
			t.Errorf("got it %s, kept %t, want it revoked and erased", s.State, !s.Value.IsZero())
		}
	}
}

func TestAMaintenanceBeforeAnythingElseWorks(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		store.change(t, func(row *core.Installation) {
			row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: fingerprintOf(t, second), State: core.Retired})
		})
		m, err := replica().Maintain(t.Context())
		if err != nil || m.Forgotten != 1 {
			t.Errorf("got %+v, %v, want one forgotten", m, err)
		}
	})
}

// A second change of the newest secret must not hide behind one that only this replica knows of.
func TestASecretVersionIsThatOfTheStore(t *testing.T) {
	changes := make(chan core.Change, 8)
	b := setup(t, func(c *core.Config) { c.OnChange = func(_ context.Context, change core.Change) { changes <- change } })
	b.install(t)
	<-changes
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changes
	b.clock.advance(time.Second)
	stored := b.row(t)
	b.store.unwritable.Store(true)
	if _, err := b.app.Revoke(t.Context(), stored.Newest(), "r"); err == nil {
		t.Fatal("got no error")
	}
	b.store.unwritable.Store(false)
	if status := b.post(t, b.site.Callback(fakehost.Installed).OfferNothing()); status != http.StatusNoContent {
		t.Fatalf("got %d, want 204", status)
	}
	change := <-changes
	if change.Before.SecretVersion != stored.SecretVersion || change.Before.Newest() != stored.Newest() || !change.SecretChanged() {
		t.Errorf("got before %d %s, after %d %s; want before as it was stored, and a change",
			change.Before.SecretVersion, change.Before.Newest().Short(), change.After.SecretVersion, change.After.Newest().Short())
	}
}

func TestASymmetricSiteIsSaidToLoseTheSecretThatItInstallsWith(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) { c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = true, true })
	b.install(t)
	for exposed, err := range b.app.Exposure(t.Context(), core.Fingerprint(b.site.Fingerprint())) {
		if err != nil || exposed.Standing != core.StandingOnlyKey {
			t.Errorf("got %s, %v, want %s", exposed.Standing, err, core.StandingOnlyKey)
		}
	}
	revoke(t, b.app, core.Fingerprint(b.site.Fingerprint()), 1)
	b.wantRefused(t, b.site.Callback(fakehost.Installed), 401, core.ReasonRevoked)
}

func TestRevokeTakesNoPartOfAFingerprint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := fingerprintOf(t, first)
	for _, f := range []core.Fingerprint{"", core.Fingerprint(whole.Short()), core.Fingerprint(strings.ToUpper(string(whole)))} {
		if _, err := b.app.Revoke(t.Context(), f, "r"); err == nil {
			t.Errorf("fingerprint %q: got no error", f)
		}
	}
	if _, err := b.app.Revoke(t.Context(), whole, ""); err == nil {
		t.Error("without a reason: got no error")
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
