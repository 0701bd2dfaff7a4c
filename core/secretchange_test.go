package core_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
)

// Config.OnSecretChanged: once for each growth of an installation's SecretVersion.

// changes collects what the hook is told.
type changes struct {
	mu   sync.Mutex
	list []core.SecretChange
}

func (c *changes) add(_ context.Context, change core.SecretChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, change)
}

func (c *changes) tell(config *core.Config) { config.OnSecretChanged = c.add }

func (c *changes) take() []core.SecretChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.list
	c.list = nil
	return taken
}

// storyteller is a bundle whose hook is looked at after each step.
type storyteller struct {
	*bundle
	told *changes
}

func tellsChanges(t *testing.T, configure ...func(*core.Config)) storyteller {
	t.Helper()
	s := storyteller{told: new(changes)}
	s.bundle = setup(t, append(configure, s.told.tell)...)
	return s
}

// wantTold waits for what is under way, and holds what was told since against the change; nil is nothing.
func (s storyteller) wantTold(t *testing.T, rule string, want *core.SecretChange) {
	t.Helper()
	s.recorded(t)
	if err := core.Settled(t.Context(), s.app); err != nil {
		t.Fatal(err)
	}
	got := s.told.take()
	if want == nil {
		if len(got) > 0 {
			t.Errorf("%s: got %+v, want nothing told", rule, got)
		}
		return
	}
	want.Key = core.Key{AppKey: appKey, ClientKey: s.site.ClientKey()}
	if len(got) != 1 || got[0] != *want {
		t.Errorf("%s: got %+v, want %+v, once", rule, got, *want)
	}
	if row := s.row(t); row.SecretVersion != want.Version || row.Newest() != want.New {
		t.Errorf("%s: the row is at version %d with %s", rule, row.SecretVersion, row.Newest().Short())
	}
}

func TestTheHookIsToldOfEachChangeOfTheNewestSecret(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t, withAppSecrets(t, appWide2, appWide1))
	one, two := fingerprintOf(t, appWide1), fingerprintOf(t, appWide2)
	s.install(t)
	own := core.Fingerprint(s.site.Fingerprint())
	s.wantTold(t, "the first install", &core.SecretChange{New: own, Version: 1})
	send := func(c *fakehost.Callback) {
		t.Helper()
		if _, err := c.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.clock.advance(time.Second)
	}
	send(s.site.Callback(fakehost.Installed).Offer(s.site.Secret()))
	s.wantTold(t, "the same secret again", nil)
	send(s.site.Callback(fakehost.Installed).OfferNothing())
	s.wantTold(t, "no secret", nil)
	send(s.site.Callback(fakehost.Installed).Offer(appWide1))
	s.wantTold(t, "an app-wide secret", &core.SecretChange{Old: own, New: one, Version: 2})
	send(s.site.Callback(fakehost.Enabled))
	s.wantTold(t, "enabled", nil)
	s.wantGet(t, s.site, appWide1, http.StatusOK, "")
	s.wantTold(t, "a request", nil)
	s.wantGet(t, s.site, appWide2, http.StatusOK, "")
	s.wantTold(t, "a token of a newer app-wide secret", &core.SecretChange{Old: one, New: two, Version: 3})
	s.wantGet(t, s.site, appWide2, http.StatusOK, "")
	s.wantTold(t, "another such token", nil)
	revoke(t, s.app, own, 1)
	s.wantTold(t, "an old secret is revoked", nil)
	revoke(t, s.app, two, 1)
	s.wantTold(t, "the newest is revoked", &core.SecretChange{Old: two, New: one, Version: 4})
	revoke(t, s.app, one, 1)
	s.wantTold(t, "the last is revoked", &core.SecretChange{Old: one, Version: 5})
	s.clock.advance(time.Second)
	if _, err := s.site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	own = core.Fingerprint(s.site.Fingerprint())
	s.wantTold(t, "a secret after none", &core.SecretChange{New: own, Version: 6})
	s.clock.advance(time.Second)
	if _, err := s.site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.recorded(t); len(s.told.take()) > 0 {
		t.Error("an uninstall is no change of the newest secret: nobody signs any more")
	}
	s.clock.advance(time.Second)
	s.install(t)
	s.wantTold(t, "the next install", &core.SecretChange{New: core.Fingerprint(s.site.Fingerprint()), Version: 7})
}

func TestTheHookIsToldWhenASiteHasNotAdoptedTheNewestSecret(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t)
	s.install(t)
	own := core.Fingerprint(s.site.Fingerprint())
	s.site.LoseNextAnswer()
	if _, err := s.site.Rotate(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		t.Fatal(err)
	}
	s.recorded(t)
	s.told.take()
	s.use(t)
	newest := s.row(t).Newest()
	s.wantTold(t, "half an hour on the old one", nil)
	s.clock.advance(31 * 24 * time.Hour)
	s.wantPage(t, http.StatusOK, "")
	s.wantTold(t, "a month on the old one", &core.SecretChange{Old: newest, New: own, Version: 3})
}

func TestTheHookIsToldOfARevocationThatMaintainFinds(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t)
	s.install(t)
	own := core.Fingerprint(s.site.Fingerprint())
	s.wantTold(t, "the first install", &core.SecretChange{New: own, Version: 1})
	s.store.mustRevoke(t, s.site.Secret())
	for _, want := range []*core.SecretChange{{Old: own, Version: 2}, nil} {
		if _, err := s.app.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantTold(t, "Maintain", want)
	}
}

func TestTheHookIsNotToldWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t, withAppSecrets(t, appWide2, appWide1))
	s.bindTo(t, s.site, appWide1)
	s.wantTold(t, "the first install", &core.SecretChange{New: fingerprintOf(t, appWide1), Version: 1})
	s.store.unwritable.Store(true)
	s.wantRefused(t, s.site.Callback(fakehost.Installed), 503, core.ReasonStore)
	s.wantTold(t, "a callback that was refused", nil)
	s.wantGet(t, s.site, appWide2, http.StatusOK, "")
	s.wantTold(t, "a token that could not be recorded", nil)
	if _, err := s.app.Revoke(t.Context(), fingerprintOf(t, appWide1), "r"); err == nil {
		t.Error("Revoke: got no error")
	}
	s.wantTold(t, "a revocation that is not in the row yet", nil)
	s.store.unwritable.Store(false)
	revoke(t, s.app, fingerprintOf(t, appWide1), 1)
	s.wantTold(t, "the revocation is in the row", &core.SecretChange{Old: fingerprintOf(t, appWide1), Version: 2})
}

func TestTheHookIsToldByTheReplicaThatHasWrittenOnly(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t)
	s.install(t)
	s.recorded(t)
	s.told.take()
	other := new(changes)
	var config core.Config
	setup(t, func(c *core.Config) { config = *c })
	config.Store, config.Now, config.BaseURL, config.OnSecretChanged = s.store.Store, s.clock.Now, s.server.URL, other.add
	replica := newApp(t, config)

	mine, theirs := s.site.Callback(fakehost.Installed), s.site.Callback(fakehost.Installed)
	meanwhile := func() {
		if _, err := replica.Lifecycle(t.Context(), core.EventInstalled, callbackRequest(t, theirs)); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&meanwhile)
	if status := s.post(t, mine); status != http.StatusNoContent {
		t.Fatalf("got %d, want 204", status)
	}
	if err := errors.Join(core.Settled(t.Context(), s.app), core.Settled(t.Context(), replica)); err != nil {
		t.Fatal(err)
	}
	here, there := s.told.take(), other.take()
	if len(there) != 1 || there[0].Version != 2 || there[0].New != fingerprintOf(t, theirs.Secret) {
		t.Errorf("there: got %+v, want version 2", there)
	}
	if len(here) != 1 || here[0].Version != 3 || here[0].Old != fingerprintOf(t, theirs.Secret) || here[0].New != fingerprintOf(t, mine.Secret) {
		t.Errorf("here, after the lost conflict: got %+v, want version 3 after that of the other replica", here)
	}
}

func TestTheHookIsToldOfEachVersionOnceWhateverIsUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	told := new(changes)
	f := newFleet(t, told.tell)
	site := f.sites[0]
	if err := core.Settled(t.Context(), f.old); err != nil {
		t.Fatal(err)
	}
	told.take()
	var callbacks sync.WaitGroup
	for n := range 6 { // a row has room for eight secrets
		callback := site.Callback(fakehost.Installed)
		for _, app := range []*core.App{f.old, f.new} {
			callbacks.Go(func() { // each is delivered twice
				_, err := app.Lifecycle(t.Context(), core.EventInstalled, callbackRequest(t, callback))
				if reason := core.Reason(err); err != nil && reason != core.ReasonBusy {
					t.Errorf("callback %d: %v", n, err)
				}
			})
		}
	}
	callbacks.Wait()
	if err := errors.Join(core.Settled(t.Context(), f.old), core.Settled(t.Context(), f.new)); err != nil {
		t.Fatal(err)
	}
	version := f.rowOf(t, site).SecretVersion
	times := map[int64]int{}
	newest := map[int64]core.Fingerprint{1: fingerprintOf(t, appWide1)}
	list := told.take()
	for _, change := range list {
		times[change.Version]++
		newest[change.Version] = change.New
	}
	for v := int64(2); v <= version; v++ {
		if times[v] != 1 {
			t.Errorf("version %d was told %d times", v, times[v])
		}
	}
	for _, change := range list {
		if change.Old != newest[change.Version-1] {
			t.Errorf("version %d: got %s as the old one, want %s", change.Version, change.Old.Short(), newest[change.Version-1].Short())
		}
	}
	if version < 2 || len(times) != int(version)-1 {
		t.Errorf("got %v for a row at version %d", times, version)
	}
}

// A Put that fails after its commit leaves nobody to tell; the version tells those who must be sure.
func TestAChangeWhoseCommitWasNotHeardOfIsToldAtMostOnce(t *testing.T) {
	t.Parallel()
	s := tellsChanges(t)
	s.install(t)
	s.recorded(t)
	s.told.take()
	callback := s.site.Callback(fakehost.Installed)
	lost := func() { s.store.unheard.Store(true) }
	s.store.before.Store(&lost)
	s.post(t, callback)
	s.clock.advance(time.Second)
	if status := s.post(t, callback); status != http.StatusNoContent {
		t.Fatalf("the callback again: got %d %q, want 204", status, s.log.reason())
	}
	s.recorded(t)
	if told := s.told.take(); len(told) > 0 || s.row(t).SecretVersion != 2 {
		t.Errorf("got %+v at version %d, want nothing told of version 2", told, s.row(t).SecretVersion)
	}
}

func TestInTheHookTheChangeIsInTheStore(t *testing.T) {
	t.Parallel()
	stored := make(chan *core.Installation, 1)
	var b *bundle
	b = setup(t, func(c *core.Config) {
		c.OnSecretChanged = func(ctx context.Context, change core.SecretChange) {
			row, err := b.store.Store.Get(ctx, change.Key)
			if err != nil {
				t.Error(err)
			}
			stored <- row
		}
	})
	b.install(t)
	if row := <-stored; row == nil || row.SecretVersion != 1 || string(row.Newest()) != b.site.Fingerprint() {
		t.Errorf("got %+v, want the row with the change", row)
	}
}

func TestTheHookGoesOnThoughTheSiteHangsUp(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	hungUp := make(chan struct{})
	b := setup(t, func(c *core.Config) {
		c.OnSecretChanged = func(ctx context.Context, _ core.SecretChange) {
			<-hungUp
			ended <- ctx.Err()
		}
	})
	ctx, hangUp := context.WithCancel(t.Context())
	if _, err := b.app.Lifecycle(ctx, core.EventInstalled, callbackRequest(t, b.site.Callback(fakehost.Installed))); err != nil {
		t.Fatal(err)
	}
	hangUp()
	close(hungUp)
	if err := <-ended; err != nil {
		t.Errorf("the context of the hook: got %v, want it not cancelled", err)
	}
}

func TestAPanicInOnSecretChangedHarmsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) {
		c.OnSecretChanged = func(context.Context, core.SecretChange) { panic("in the app's own code") }
	})
	b.install(t)
	if err := b.app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := b.log.String(); !strings.Contains(text, "panic in OnSecretChanged") || strings.Contains(text, b.site.Secret()) {
		t.Errorf("got the log\n%s\nwant the panic in it", text)
	}
}

func TestCloseWaitsForOnSecretChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		done := false
		app := replica(withAppSecrets(t, appWide2, appWide1), func(c *core.Config) {
			c.OnSecretChanged = func(context.Context, core.SecretChange) {
				pass(time.Minute)
				done = true
			}
		})
		store.bind(t, "bound", appWide1)
		want(t, authenticate(t, app, "bound", appWide2), "") // which is to be recorded
		if err := app.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !done {
			t.Error("Close did not wait")
		}
	})
}

// symmetricInstall returns an installed callback that the site has signed with the one secret and that brings the other.
func symmetricInstall(t *testing.T, clientKey, signer, brings string) core.Request {
	t.Helper()
	now := time.Now().Unix()
	return callbackRequest(t, &fakehost.Callback{
		Token: &fakehost.Token{
			Header: map[string]any{"alg": "HS256", "typ": "JWT"},
			Claims: map[string]any{"iss": clientKey, "iat": now, "exp": now + 180, "qsh": qsh.Hash(http.MethodPost, "/installed", "")},
			Key:    []byte(signer),
		},
		Payload: map[string]any{
			"key": appKey, "clientKey": clientKey, "sharedSecret": brings, "eventType": "installed",
			"baseUrl": "https://acme.atlassian.net",
		},
	})
}

// slowStore takes its time to write.
type slowStore struct{ core.Store }

func (s slowStore) Put(ctx context.Context, row *core.Installation) (int64, error) {
	pass(500 * time.Millisecond)
	return s.Store.Put(ctx, row)
}

func TestAChangeThatIsCommittedWhileTheAppClosesIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		told, announced := new(changes), false
		app := replica(told.tell, func(c *core.Config) {
			c.Store, c.SymmetricInstalls = slowStore{store}, true
			c.OnChange = func(context.Context, core.Change) { announced = true }
		})
		store.change(t, func(row *core.Installation) { row.Signing = core.SignedHS256 })
		answer := make(chan error)
		go func() {
			_, err := app.Lifecycle(t.Context(), core.EventInstalled, symmetricInstall(t, "site", first, second))
			answer <- err
		}()
		pass(100 * time.Millisecond)
		if err := app.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-answer; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := told.take(); len(got) != 1 || !announced {
			t.Errorf("OnSecretChanged was told %+v, OnChange was called: %t; want both", got, announced)
		}
	})
}
