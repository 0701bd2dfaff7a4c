package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
)

// Secrets that Atlassian has given to all sites.
const (
	appWide      = "the app-wide secret of all sites"
	otherAppWide = "another app-wide secret of all sites"
)

// source gives the app-wide secrets that it was told last.
type source struct {
	mu      sync.Mutex
	secrets []core.Secret
	err     error
}

func (s *source) Secrets(context.Context) ([]core.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secrets, s.err
}

func (s *source) set(t *testing.T, secrets ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = nil
	for _, secret := range secrets {
		s.secrets = append(s.secrets, secretOf(t, secret))
	}
}

// configure makes the source the app's, which asks it each time.
func (s *source) configure(c *core.Config) { c.AppSecrets, c.CacheTTL = s, -1 }

func TestASiteNoticesNothingOfAnAdoptionOrARelease(t *testing.T) {
	t.Parallel()
	var configured source
	changes := make(chan core.SecretChange, 8)
	b := setup(t, configured.configure, func(c *core.Config) {
		c.OnSecretChanged = func(_ context.Context, change core.SecretChange) { changes <- change }
	})
	if _, err := b.site.Callback(fakehost.Installed).Offer(appWide).Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changes
	b.use(t)
	copied := b.row(t)
	if copied.Secrets[0].Bound || copied.Run.Fingerprint == "" {
		t.Fatalf("got %+v, want a copy of the secret, and a run of it", copied)
	}

	configured.set(t, appWide)
	m, err := b.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 1, Moved: 1})
	want := copied.Clone()
	want.Secrets[0].Bound, want.Secrets[0].Value, want.Revision = true, core.Secret{}, b.row(t).Revision
	if got := b.row(t); !reflect.DeepEqual(got, want) {
		t.Errorf("adopted: got  %+v\nwant %+v", got, want)
	}
	b.wantPage(t, http.StatusOK, "")

	m, err = b.app.ReleaseAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 1, Moved: 1})
	copied.Revision = b.row(t).Revision
	if got := b.row(t); !reflect.DeepEqual(got, copied) {
		t.Errorf("released: got  %+v\nwant %+v", got, copied)
	}
	configured.set(t)
	b.wantPage(t, http.StatusOK, "")
	if err := b.app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(changes) > 0 {
		t.Errorf("OnSecretChanged was called with %+v, but no other secret has become the newest", <-changes)
	}
	if strings.Contains(b.log.String(), appWide) {
		t.Error("the secret is in the log")
	}
}

func TestACopyThatCannotBeOpenedIsReadableAgainOnceItIsAdopted(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica(func(c *core.Config) { c.AppSecrets = core.StaticSecrets{secretOf(t, first)} })
		store.change(t, func(row *core.Installation) {
			row.Secrets[0].Value, row.Secrets[0].Sealed = core.Secret{}, []byte("sealed with a key that is lost")
		})
		want(t, authenticate(t, app, "site", first), core.ReasonUnreadable)
		m, err := app.AdoptAppSecret(t.Context(), core.Batch{})
		wantMoved(t, m, err, core.Moved{Seen: 1, Moved: 1})
		want(t, authenticate(t, app, "site", first), "")
	})
}

func TestASiteOnAnAppWideSecretMaySignWithAnotherBeItBoundOrHaveACopy(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *faultyStore, replica func(...func(*core.Config)) *core.App) {
		configured := func(secrets ...string) *core.App {
			return replica(func(c *core.Config) {
				var list core.StaticSecrets
				for _, secret := range secrets {
					list = append(list, secretOf(t, secret))
				}
				c.AppSecrets = list
			})
		}
		want(t, authenticate(t, configured(second), "site", second), core.ReasonBadSignature) // its copy is its own secret
		both := configured(second, first)
		if m, err := both.AdoptAppSecret(t.Context(), core.Batch{}); err != nil || m.Moved != 1 {
			t.Fatalf("adopt: got %+v, %v", m, err)
		}
		if m, err := both.ReleaseAppSecret(t.Context(), core.Batch{}); err != nil || m.Moved != 1 {
			t.Fatalf("release: got %+v, %v", m, err)
		}
		want(t, authenticate(t, configured(second), "site", second), core.ReasonBadSignature)
		want(t, authenticate(t, both, "site", first), "")
		want(t, authenticate(t, both, "site", second), "")
	})
}

func TestABindingToASecretThatIsNotConfiguredIsNotReleased(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 0, false)
	missing := core.StoredSecret{Fingerprint: fingerprintOf(t, second), State: core.Usable, Bound: true}
	known := core.StoredSecret{Fingerprint: fingerprintOf(t, appWide), State: core.Usable, Bound: true}
	f.put(t, "both", missing, known)
	f.put(t, "missing", missing)
	f.put(t, "known", known)
	m, err := f.app.ReleaseAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 3, Moved: 2, Skipped: 2})
	for _, row := range f.rows(t) {
		for _, s := range row.Secrets {
			if left := s.Fingerprint == missing.Fingerprint; s.Bound != left || s.Value.IsZero() != left {
				t.Errorf("%s: secret %s: got bound %t, value %t", row.Key.ClientKey, s.Fingerprint.Short(), s.Bound, !s.Value.IsZero())
			}
		}
	}
}

func TestACallbackBindsAReleasedSiteAgainWhileTheSecretIsConfigured(t *testing.T) {
	t.Parallel()
	var configured source
	b := setup(t, configured.configure)
	configured.set(t, appWide)
	offer := func() {
		t.Helper()
		if _, err := b.site.Callback(fakehost.Installed).Offer(appWide).Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.clock.advance(time.Second)
	}
	offer()
	if m, err := b.app.ReleaseAppSecret(t.Context(), core.Batch{}); err != nil || m.Moved != 1 || b.row(t).Secrets[0].Bound {
		t.Fatalf("release: got %+v, %v", m, err)
	}
	offer()
	if !b.row(t).Secrets[0].Bound {
		t.Error("the callback has brought a configured secret, and the site is not bound to it")
	}
	b.wantPage(t, http.StatusOK, "")
}

func TestARevokedAppWideSecretIsNotAdoptedAndIsStruckFromWhatIsWritten(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 0, false)
	revoked, kept := secretOf(t, appWide), secretOf(t, otherAppWide)
	f.put(t, "both",
		core.StoredSecret{Fingerprint: revoked.Fingerprint(), State: core.Usable, Value: revoked},
		core.StoredSecret{Fingerprint: kept.Fingerprint(), State: core.Usable, Value: kept})
	f.put(t, "only the revoked one", core.StoredSecret{Fingerprint: revoked.Fingerprint(), State: core.Usable, Value: revoked})
	err := f.store.Store.Revoke(t.Context(), core.Revocation{AppKey: appKey, Fingerprint: revoked.Fingerprint(), Reason: "r"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 2, Moved: 1})
	both := f.rows(t)[0]
	if s := both.Secrets[0]; s.State != core.Revoked || s.Bound || !s.Value.IsZero() {
		t.Errorf("the revoked one: got %+v, want it struck", s)
	}
	if s := both.Secrets[1]; !s.Bound {
		t.Errorf("the other one: got %+v, want a binding", s)
	}
}

func TestWithoutAppWideSecretsNothingIsMovedAndTheErrorSaysSo(t *testing.T) {
	t.Parallel()
	broken := errors.New("the secret manager is down")
	for _, c := range []struct {
		name   string
		source core.SecretSource
		text   string
	}{
		{"none configured", nil, "not set"},
		{"an empty list", core.StaticSecrets{}, "none"},
		{"a source that fails", &source{err: broken}, broken.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := &faultyStore{Store: memstore.New()}
			store.install(t, "site", appWide)
			store.puts.Store(0)
			app := newApp(t, core.Config{
				AppKey: appKey, BaseURL: "https://app.example.com", Store: store, AppSecrets: c.source,
				Logger: slog.New(slog.DiscardHandler),
			})
			for name, walk := range map[string]func(context.Context, core.Batch) (core.Moved, error){
				"adopt": app.AdoptAppSecret, "release": app.ReleaseAppSecret,
			} {
				m, err := walk(t.Context(), core.Batch{After: "a"})
				if !errors.Is(err, core.ErrAppSecrets) || !strings.Contains(err.Error(), c.text) || m != (core.Moved{Next: "a"}) {
					t.Errorf("%s: got %+v, %v, want ErrAppSecrets, and nothing done", name, m, err)
				}
			}
			if n := store.puts.Load(); n > 0 {
				t.Errorf("%d rows were written", n)
			}
		})
	}
}

// Sites install, rotate, take the app-wide secret and load pages while replicas adopt and release.
func TestNoSiteIsRefusedWhileItIsMovedToAndFro(t *testing.T) {
	t.Parallel()
	var configured source
	b := setup(t, configured.configure)
	configured.set(t, appWide)
	const sites, rounds = 12, 8
	var working sync.WaitGroup
	for n := range sites {
		site := b.newSite(t, fakehost.Config{ClientKey: fmt.Sprintf("site-%d", n)})
		own := fmt.Sprintf("the own secret of site %d", n)
		working.Go(func() {
			for round := range rounds {
				offered := appWide
				if round%2 == n%2 {
					offered = own
				}
				b.clock.advance(time.Second)
				if answer, err := site.Callback(fakehost.Installed).Offer(offered).Send(t.Context()); err != nil {
					t.Errorf("site %d, callback %d: %d, %v", n, round, answer.StatusCode, err)
				}
				for range 5 {
					if answer, err := site.Get(t.Context(), "/panel"); err != nil || answer.StatusCode != http.StatusOK {
						t.Errorf("site %d, page after callback %d: got %d, %v, want 200", n, round, answer.StatusCode, err)
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { working.Wait(); close(done) }()
	moved := 0
	for working := true; working; {
		select {
		case <-done:
			working = false
		default:
		}
		for _, walk := range []func(context.Context, core.Batch) (core.Moved, error){b.app.ReleaseAppSecret, b.app.AdoptAppSecret} {
			m, err := walk(t.Context(), core.Batch{})
			if err != nil {
				t.Errorf("got %+v, %v", m, err)
			}
			moved += m.Moved
		}
	}
	if moved < sites {
		t.Errorf("%d installations were moved, want some for each site: else this shows nothing", moved)
	}
	rows, err := b.store.List(t.Context(), appKey, "", sites)
	if err != nil || len(rows) != sites {
		t.Fatalf("got %d rows, %v, want %d", len(rows), err, sites)
	}
	for _, row := range rows {
		for _, s := range row.Secrets {
			if shared := s.Fingerprint == fingerprintOf(t, appWide); s.Bound != shared || s.Value.IsZero() != shared {
				t.Errorf("%s: secret %s: got bound %t, value %t", row.Key.ClientKey, s.Fingerprint.Short(), s.Bound, !s.Value.IsZero())
			}
		}
		if row.SecretVersion != rounds {
			t.Errorf("%s: got secret version %d, want one for each of %d callbacks", row.Key.ClientKey, row.SecretVersion, rounds)
		}
	}
}
