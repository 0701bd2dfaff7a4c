package fakehost_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestPagesLoadedDuringTheCallbackCarryTheNewSecret(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"kept": http.StatusNoContent, "gone back": http.StatusInternalServerError} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a)
			old := site.Secret()
			var during string
			a.on(func(w http.ResponseWriter, _ *http.Request) {
				during = site.Secret()
				if _, err := site.PageURL("/panel"); err != nil {
					t.Error(err)
				}
				w.WriteHeader(status)
			})
			_, _ = site.Rotate(t.Context())
			offered := a.last(t).payload(t)["sharedSecret"]
			if during != offered || during == old {
				t.Error("during the callback the site signed with another secret than the one it offered")
			}
			want := offered
			if status != http.StatusNoContent {
				want = old
			}
			if site.Secret() != want {
				t.Errorf("after the callback the site signs with the wrong secret, want it %s", name)
			}
		})
	}
}

func TestASiteKeepsTheSecretOnlyOn200Or201Or204(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201, 202, 203, 204, 205, 206, 301, 302, 304, 307, 308, 400, 401, 404, 409, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a)
			old := site.Secret()
			a.on(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			})
			answer, err := site.Rotate(t.Context())
			if answer.StatusCode != status {
				t.Errorf("answer has status %d, want %d", answer.StatusCode, status)
			}
			offered := a.last(t).payload(t)["sharedSecret"]
			if status == 200 || status == 201 || status == 204 {
				if err != nil || !answer.Accepted() || site.Secret() != offered {
					t.Errorf("error %v, accepted %t; want the offered secret kept", err, answer.Accepted())
				}
				return
			}
			if !errors.Is(err, fakehost.ErrRefused) || answer.Accepted() || site.Secret() != old {
				t.Errorf("error %v, accepted %t; want ErrRefused, and the old secret back", err, answer.Accepted())
			}
			if last := a.last(t); last.uri != "/installed" {
				t.Errorf("the site followed a redirect to %s with its secret", last.uri)
			}
		})
	}
}

func TestAnAnswerThatDoesNotComeMakesTheSiteGoBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(site *fakehost.Site, a *app, cancel context.CancelFunc)
		reaches bool // the app sees the call
	}{
		"time-out": {func(_ *fakehost.Site, a *app, cancel context.CancelFunc) {
			a.on(func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			})
		}, true},
		"connection cut": {func(_ *fakehost.Site, a *app, _ context.CancelFunc) {
			a.on(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, true},
		"body cut": {func(_ *fakehost.Site, a *app, _ context.CancelFunc) {
			a.on(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "10")
				w.WriteHeader(http.StatusOK)
				panic(http.ErrAbortHandler)
			})
		}, true},
		"lost answer": {func(site *fakehost.Site, _ *app, _ context.CancelFunc) { site.LoseNextAnswer() }, true},
		"lost call":   {func(site *fakehost.Site, _ *app, _ context.CancelFunc) { site.LoseNextCall() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a)
			old, seen := site.Secret(), len(a.all())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			test.prepare(site, a, cancel)

			answer, err := site.Rotate(ctx)
			if !errors.Is(err, fakehost.ErrNoAnswer) || answer.StatusCode != 0 {
				t.Errorf("got error %v and status %d, want ErrNoAnswer and none", err, answer.StatusCode)
			}
			if site.Secret() != old || !site.Installed() {
				t.Error("the site has not gone back to the old secret")
			}
			if reached := len(a.all()) > seen; reached != test.reaches {
				t.Errorf("the app saw the call: %t, want %t", reached, test.reaches)
			}

			// Only the one callback is lost.
			a.on(nil)
			if _, err := site.Rotate(t.Context()); err != nil {
				t.Errorf("the next rotation: %v", err)
			}
		})
	}
}

func TestAFailedFirstInstallLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := newSite(t, a, symmetric)
	a.answer(http.StatusInternalServerError)
	if _, err := site.Install(t.Context()); !errors.Is(err, fakehost.ErrRefused) {
		t.Fatalf("got error %v, want ErrRefused", err)
	}
	first := a.last(t).payload(t)["sharedSecret"]
	if site.Installed() || site.Secret() != "" {
		t.Error("the site still has the app or its secret")
	}
	a.on(nil)
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	if token := a.last(t).token(t); token != "" {
		t.Error("the second attempt is signed, want it to be a first install again")
	}
	if a.last(t).payload(t)["sharedSecret"] == first {
		t.Error("the second attempt offers the first secret, want a fresh one")
	}
}

func TestAFailedReinstallRestoresTheRemnant(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, symmetric)
	remnant := site.Secret()
	if _, err := site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	site.LoseNextAnswer()
	if _, err := site.Install(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		t.Fatalf("got error %v, want ErrNoAnswer", err)
	}
	lost := a.last(t).payload(t)["sharedSecret"]
	if site.Installed() || site.Secret() != remnant {
		t.Error("the site has not gone back to the remnant")
	}
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify(t, a.last(t).token(t), remnant)
	if offered := a.last(t).payload(t)["sharedSecret"]; offered == lost || offered == remnant {
		t.Error("the next attempt offers a secret that was there before, want yet another")
	}
}
