package fakehost_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestEachAttemptHasAFreshToken(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := newSite(t, a)
	a.answer(http.StatusServiceUnavailable)
	seen := make(map[string]bool)
	for range 3 { // all within one second
		_, _ = site.Install(t.Context())
		seen[a.last(t).token(t)] = true
	}
	if len(seen) != 3 {
		t.Errorf("3 attempts had %d tokens, want 3", len(seen))
	}
}

func TestAReplayHasTheSameTokenAndWhateverBody(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*fakehost.Config){"RS256": func(*fakehost.Config) {}, "HS256": symmetric} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a, edit)
			callback := site.Callback(fakehost.Installed)
			if _, err := callback.Send(t.Context()); err != nil {
				t.Fatal(err)
			}
			sent := a.last(t)
			callback.Payload["sharedSecret"] = "a secret of the thief's own"
			if _, err := callback.Post(t.Context()); err != nil {
				t.Fatal(err)
			}
			replayed := a.last(t)
			if sent.token(t) != replayed.token(t) {
				t.Error("the replay has another token")
			}
			if replayed.payload(t)["sharedSecret"] != "a secret of the thief's own" {
				t.Error("the replay has the body of the original")
			}
		})
	}
}

func TestASiteKnowsNothingOfWhatOthersPost(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	secret := site.Secret()
	site.LoseNextCall() // of the site itself
	for _, event := range []fakehost.Event{fakehost.Installed, fakehost.Uninstalled} {
		for _, status := range []int{http.StatusNoContent, http.StatusUnauthorized} {
			a.answer(status)
			answer, err := site.Callback(event).Post(t.Context())
			if err != nil || answer.StatusCode != status {
				t.Errorf("%s: got status %d and error %v, want %d", event, answer.StatusCode, err, status)
			}
			if site.Secret() != secret || !site.Installed() {
				t.Fatalf("%s: the site has changed", event)
			}
		}
	}
	if _, err := site.Rotate(t.Context()); !errors.Is(err, fakehost.ErrNoAnswer) {
		t.Errorf("the loss that was meant for the site happened to somebody else: error %v", err)
	}
}

func TestEveryPartOfACallbackCanBeForged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		forge func(*fakehost.Callback)
		check func(*testing.T, request)
	}{
		"method and URL": {
			func(c *fakehost.Callback) { c.Method, c.URL = http.MethodPut, c.URL+"?user_key=admin" },
			func(t *testing.T, r request) {
				if r.method != http.MethodPut || r.uri != "/installed?user_key=admin" {
					t.Errorf("got %s %s", r.method, r.uri)
				}
			},
		},
		"header": {
			func(c *fakehost.Callback) { c.Header.Set("Content-Type", "text/plain") },
			func(t *testing.T, r request) {
				if r.contentType != "text/plain" {
					t.Errorf("got content type %s", r.contentType)
				}
			},
		},
		"a member of the payload": {
			func(c *fakehost.Callback) { c.Payload["clientKey"] = nil },
			func(t *testing.T, r request) {
				if !strings.Contains(r.body, `"clientKey":null`) {
					t.Errorf("got body %s", r.body)
				}
			},
		},
		"the raw body": {
			func(c *fakehost.Callback) { c.Body = []byte(`{"key":"a","key":"b"}`) },
			func(t *testing.T, r request) {
				if r.body != `{"key":"a","key":"b"}` {
					t.Errorf("got body %s", r.body)
				}
			},
		},
		"no token": {
			func(c *fakehost.Callback) { c.Token = nil },
			func(t *testing.T, r request) {
				if len(r.authorization) != 0 {
					t.Errorf("got Authorization %q", r.authorization)
				}
			},
		},
		"a raw token": {
			func(c *fakehost.Callback) { c.Token = nil; c.Header.Set("Authorization", "JWT a.b.c") },
			func(t *testing.T, r request) {
				if r.token(t) != "a.b.c" {
					t.Errorf("got Authorization %q", r.authorization)
				}
			},
		},
		"two tokens": {
			func(c *fakehost.Callback) { c.Header.Set("Authorization", "JWT a.b.c") },
			func(t *testing.T, r request) {
				if len(r.authorization) != 2 {
					t.Errorf("got Authorization %q", r.authorization)
				}
			},
		},
		"claims, algorithm and key": {
			func(c *fakehost.Callback) {
				c.Token.Claims["iss"] = "another-client-key"
				c.Token.Header["alg"] = "HS256"
				c.Token.Key = []byte("a public key, say, as the key of an HMAC")
			},
			func(t *testing.T, r request) {
				claims := verify(t, r.token(t), "a public key, say, as the key of an HMAC")
				if claims["iss"] != "another-client-key" {
					t.Errorf("got issuer %v", claims["iss"])
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			callback := newSite(t, a).Callback(fakehost.Installed)
			test.forge(callback)
			if _, err := callback.Post(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.check(t, a.last(t))
		})
	}
}

func TestACloneIsForgedApartFromItsOriginal(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	original := newSite(t, a).Callback(fakehost.Installed)
	original.Body = []byte("{}")
	clone := original.Clone()
	clone.Payload["clientKey"] = "forged"
	clone.Header.Set("Content-Type", "forged")
	clone.Body[0] = 'X'
	clone.Token.Claims["iss"] = "forged"
	clone.Token.Header["kid"] = "forged"
	if _, err := original.Post(t.Context()); err != nil {
		t.Fatal(err)
	}
	if original.Payload["clientKey"] == "forged" || original.Header.Get("Content-Type") == "forged" ||
		original.Body[0] == 'X' || original.Token.Claims["iss"] == "forged" || original.Token.Header["kid"] == "forged" {
		t.Error("the forgery shows in the original")
	}
	if original.Token = nil; original.Clone().Token != nil {
		t.Error("the clone of a callback without a token has one")
	}
}

func TestTheSameSecretMayBeOfferedToEverySite(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	const appWide = "one secret for the whole app"
	for range 2 {
		site := newSite(t, a)
		for range 2 { // and again to the same site
			if _, err := site.Callback(fakehost.Installed).Offer(appWide).Send(t.Context()); err != nil {
				t.Fatal(err)
			}
			if site.Secret() != appWide || a.last(t).payload(t)["sharedSecret"] != appWide {
				t.Error("the site has offered or kept another secret")
			}
		}
	}
}

func TestACallbackWithoutASecretLeavesTheSiteWithItsOwn(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	secret := site.Secret()
	if _, err := site.Callback(fakehost.Installed).OfferNothing().Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if offered, ok := a.last(t).payload(t)["sharedSecret"]; ok {
		t.Errorf("the payload has the secret %v, want no such member", offered)
	}
	if site.Secret() != secret {
		t.Error("the site has changed its secret")
	}
}

func TestACallbackThatCannotBeMadeChangesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	secret, seen := site.Secret(), len(a.all())
	for name, spoil := range map[string]func(*fakehost.Callback){
		"URL":       func(c *fakehost.Callback) { c.URL = "http://[" },
		"payload":   func(c *fakehost.Callback) { c.Payload["clientKey"] = func() {} },
		"algorithm": func(c *fakehost.Callback) { c.Token.Header["alg"] = "HS1" },
		"key":       func(c *fakehost.Callback) { c.Token.Key = nil },
	} {
		callback := site.Callback(fakehost.Installed)
		spoil(callback)
		if _, err := callback.Send(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		if site.Secret() != secret || len(a.all()) != seen {
			t.Errorf("%s: the site or the app noticed", name)
		}
	}
}
