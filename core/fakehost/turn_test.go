package fakehost_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestEnableWaitsForTheInstallUnderWay(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	old := site.Secret()
	var enabling sync.WaitGroup
	a.on(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/installed" {
			enabling.Go(func() {
				if _, err := site.Enable(t.Context()); err != nil {
					t.Error(err)
				}
			})
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	_, _ = site.Rotate(t.Context())
	enabling.Wait()
	if got := a.last(t); got.uri != "/enabled" {
		t.Fatalf("the last call was %s, want /enabled", got.uri)
	}
	verify(t, a.last(t).token(t), old)
}

func TestConcurrentRotationsFollowEachOther(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, symmetric)
	signer := site.Secret()
	const rotations = 8
	var rotating sync.WaitGroup
	for range rotations {
		rotating.Go(func() {
			if _, err := site.Rotate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	rotating.Wait()
	calls := a.all()[1:]
	if len(calls) != rotations {
		t.Fatalf("%d calls, want %d", len(calls), rotations)
	}
	for _, call := range calls { // each signed with what the one before has brought
		verify(t, call.token(t), signer)
		signer = call.payload(t)["sharedSecret"].(string)
	}
	if site.Secret() != signer {
		t.Error("the site does not hold the secret of the last rotation")
	}
}

func TestPagesAndRotationsGoOnTogether(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	var pages, rotating sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		pages.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				token := site.Token("GET", "/panel")
				signed, err := token.Sign()
				if err != nil {
					t.Error(err)
					return
				}
				verify(t, signed, string(token.Key.([]byte)))
			}
		})
	}
	for range 4 {
		rotating.Go(func() {
			_, _ = site.Rotate(t.Context())
			_, _ = site.Enable(t.Context())
			_ = site.Callback(fakehost.Installed).Clone()
		})
	}
	rotating.Wait()
	close(done)
	pages.Wait()
	offers := make(map[any]bool)
	for _, call := range a.all() {
		if call.uri == "/installed" {
			offers[call.payload(t)["sharedSecret"]] = true
		}
	}
	if len(offers) != 5 || !offers[site.Secret()] {
		t.Errorf("%d secrets offered, want 5, the site's own among them", len(offers))
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	a.on(func(w http.ResponseWriter, _ *http.Request) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, send := range map[string]func(context.Context) (fakehost.Answer, error){
			"Rotate": site.Rotate,
			"Send":   site.Callback(fakehost.Installed).Send,
			"Enable": site.Enable,
		} {
			if _, err := send(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, fakehost.ErrNoAnswer) {
				t.Errorf("%s within a rotation: got error %v, want context.Canceled before anything is sent", name, err)
			}
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if _, err := site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
}
