package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// use lets the site load a page at two times that are Settle apart, both well after the last offer.
func (b *bundle) use(t *testing.T) {
	t.Helper()
	for range 2 {
		b.clock.advance(16 * time.Minute)
		b.wantPage(t, http.StatusOK, "")
		b.recorded(t)
	}
}

func TestASiteInstallsCallsAndUninstalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	if answer := b.page(t); string(answer.Body[:len(b.site.ClientKey())]) != b.site.ClientKey() {
		t.Errorf("page: got %d %q, want one for the site", answer.StatusCode, answer.Body)
	}
	if _, err := b.site.Enable(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := b.site.Disable(t.Context()); err != nil {
		t.Error(err)
	}
	b.wantPage(t, http.StatusOK, "") // disabled informs, it refuses nothing
	if _, err := b.site.Uninstall(t.Context()); err != nil {
		t.Error(err)
	}
	if row := b.row(t); row.State != core.Uninstalled || row.Newest() != "" {
		t.Errorf("got %s with secret %q, want uninstalled without secrets", row.State, row.Newest())
	}
}

func TestBothSecretsVerifyUntilARunHasShownWhichOneTheSiteKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	old := b.site.Token(http.MethodGet, "/panel")
	if _, err := b.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A page that was made before the rotation arrives after it.
	answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", old, nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("a token of S1 after the offer of S2: got %d, %v, want 200", answer.StatusCode, err)
	}
	b.wantPage(t, http.StatusOK, "")
	b.use(t)

	// The site uses S1 again, as only a thief would now.
	old.Claims["iat"], old.Claims["exp"] = b.clock.Now().Unix(), b.clock.Now().Add(time.Minute).Unix()
	b.log.clear()
	answer, err = b.site.Do(t.Context(), http.MethodGet, "/panel", old, nil)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || b.log.reason() != core.ReasonRetired {
		t.Errorf("a token of S1 after the run of S2: got %d %q, %v, want 401 retired", answer.StatusCode, b.log.reason(), err)
	}
}

func TestASiteThatStayedOnItsOldSecretIsNeverLockedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	b.use(t)
	for range 12 {
		b.site.LoseNextAnswer()
		if _, err := b.site.Rotate(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
			t.Fatal(err)
		}
		b.wantPage(t, http.StatusOK, "")
		b.clock.advance(time.Minute)
		b.wantPage(t, http.StatusOK, "")
	}
	b.use(t)
	b.wantPage(t, http.StatusOK, "")
}

func TestASiteInTheMidstOfAStormOfRotationsIsNotLockedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	for range 20 {
		b.wantPage(t, http.StatusOK, "")
		b.recorded(t)
		b.site.LoseNextAnswer()
		if _, err := b.site.Rotate(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
			t.Fatal(err)
		}
		b.clock.advance(time.Minute)
	}
	b.use(t)
}

func TestTheSameSecretOfferedAgainAndAgainLocksNobodyOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	const appWide = "one secret for the whole app, offered to every site"
	for range 10 {
		b.site.LoseNextAnswer()
		if _, err := b.site.Callback(fakehost.Installed).Offer(appWide).Send(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
			t.Fatal(err)
		}
		b.wantPage(t, http.StatusOK, "")
		b.clock.advance(20 * time.Minute)
		b.wantPage(t, http.StatusOK, "")
		b.recorded(t)
	}
	b.use(t)
	b.wantPage(t, http.StatusOK, "")
}

func TestARotationThatNeverReachesTheAppChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	before := b.row(t)
	b.site.LoseNextCall()
	if _, err := b.site.Rotate(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		t.Fatal(err)
	}
	if after := b.row(t); before.Revision != after.Revision {
		t.Errorf("revision: got %d, want %d", after.Revision, before.Revision)
	}
	b.wantPage(t, http.StatusOK, "")
}

func TestAReinstallAfterAnUninstallWorksAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	if _, err := b.site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Second)
	b.install(t)
	b.wantPage(t, http.StatusOK, "")
}

func TestASymmetricSiteInstallsRotatesAndReinstalls(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) {
		c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = true, true
	})
	b.install(t)
	for n, step := range []func() (fakehost.Answer, error){
		func() (fakehost.Answer, error) { return b.site.Rotate(t.Context()) },
		func() (fakehost.Answer, error) { return b.site.Uninstall(t.Context()) },
		func() (fakehost.Answer, error) { return b.site.Install(t.Context()) },
	} {
		if answer, err := step(); err != nil {
			t.Fatalf("step %d: %d, %v: %s", n, answer.StatusCode, err, b.log.reason())
		}
		b.clock.advance(time.Second)
	}
	b.wantPage(t, http.StatusOK, "")
	if row := b.row(t); row.Signing != core.SignedHS256 {
		t.Errorf("signing: got %s, want HS256", row.Signing)
	}
}

func TestARenameKeepsTheInstallationAndAnImportMakesANewOne(t *testing.T) {
	t.Parallel()
	changes := make(chan core.Change, 1)
	b := setup(t, func(c *core.Config) {
		c.OnChange = func(_ context.Context, change core.Change) { changes <- change }
	})
	b.install(t)
	<-changes
	if _, err := b.site.Rename(t.Context(), "https://renamed.atlassian.net"); err != nil {
		t.Fatal(err)
	}
	if change := <-changes; !change.Renamed() || change.SecretChanged() {
		t.Errorf("the rename: got renamed %v, secret changed %v", change.Renamed(), change.SecretChanged())
	}
	b.clock.advance(time.Second)
	imported := b.site.Import()
	if _, err := imported.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changes // the old installation is marked before the hook is called
	if row := b.row(t); row.SupersededBy != imported.ClientKey() {
		t.Errorf("superseded by: got %q, want %q", row.SupersededBy, imported.ClientKey())
	}
	if row := b.rowOf(t, imported); row.SupersededBy != "" {
		t.Errorf("the import itself is superseded by %q", row.SupersededBy)
	}
	b.wantPage(t, http.StatusOK, "") // superseded informs, it refuses nothing
}

func TestTheHookSeesEachChangeOnceAndNoSecret(t *testing.T) {
	t.Parallel()
	changes := make(chan core.Change, 10)
	b := setup(t, func(c *core.Config) {
		c.OnChange = func(_ context.Context, change core.Change) { changes <- change }
	})
	b.install(t)
	first := <-changes
	if first.Outcome != core.OutcomeInstalled || first.Before != nil || !first.SecretChanged() || first.Renamed() {
		t.Errorf("first install: got %+v", first)
	}
	for _, s := range first.After.Secrets {
		if !s.Value.IsZero() {
			t.Error("the hook was handed a secret")
		}
	}
	update := b.site.Callback(fakehost.Installed).OfferNothing()
	if _, err := update.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if change := <-changes; change.Outcome != core.OutcomeUpdated || change.SecretChanged() {
		t.Errorf("update without a secret: got %s, secret changed %v", change.Outcome, change.SecretChanged())
	}
	if status := b.post(t, update); status != http.StatusNoContent {
		t.Errorf("the same callback again: got %d, want 204", status)
	}
	if err := b.app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(changes) > 0 {
		t.Errorf("a duplicate was announced: %+v", <-changes)
	}
}

func TestAPanicInTheHookHarmsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) {
		c.OnChange = func(context.Context, core.Change) { panic("in the app's own code") }
	})
	b.install(t)
	b.wantPage(t, http.StatusOK, "")
}

func TestManySitesInstallAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sites := make([]*fakehost.Site, 50)
	failed := make(chan error, len(sites))
	for n := range sites {
		sites[n] = b.newSite(t, fakehost.Config{ClientKey: fmt.Sprint("site-", n)})
		go func() {
			_, err := sites[n].Install(t.Context())
			failed <- err
		}()
	}
	for range sites {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	for _, site := range sites {
		answer, err := site.Get(t.Context(), "/panel")
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("page: got %d, %v, want 200", answer.StatusCode, err)
		}
	}
}
