package fakehost_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
)

func TestAnInstallIsSignedByAtlassian(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, func(c *fakehost.Config) {
		c.AppURL, c.App.BaseURL = a.URL+"/connect/", "https://app.example.com/connect"
	})

	got := a.last(t)
	if got.method != http.MethodPost || got.uri != "/connect/installed" || got.contentType != "application/json" {
		t.Errorf("got %s %s with %s, want POST /connect/installed with application/json", got.method, got.uri, got.contentType)
	}
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(got.token(t), claims, func(token *jwt.Token) (any, error) {
		id, key := keys.Current()
		if token.Header["kid"] != id {
			return nil, fmt.Errorf("kid is %v, want %s", token.Header["kid"], id)
		}
		return &key.PublicKey, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantClaims(t, claims, map[string]any{
		"iss": site.ClientKey(),
		"aud": "https://app.example.com/connect",
		"qsh": qsh.Hash(http.MethodPost, "/installed", ""),
		"iat": float64(now.Unix()),
		"exp": float64(now.Unix() + 15*60),
	})
}

func wantClaims(t *testing.T, claims jwt.MapClaims, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("claim %s is %v, want %v", name, claims[name], value)
		}
	}
}

func TestPayloadOfEachCallback(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, func(c *fakehost.Config) { c.InstallationID = "ari:cloud:ecosystem::installation/1" })
	for _, event := range []fakehost.Event{fakehost.Installed, fakehost.Uninstalled, fakehost.Enabled, fakehost.Disabled} {
		callback := site.Callback(event)
		if _, err := callback.Post(t.Context()); err != nil {
			t.Fatal(err)
		}
		payload := a.last(t).payload(t)
		for member, want := range map[string]any{
			"key": "com.example.app", "clientKey": site.ClientKey(), "baseUrl": site.BaseURL(),
			"productType": "jira", "eventType": string(event),
		} {
			if payload[member] != want {
				t.Errorf("%s: %s is %v, want %v", event, member, payload[member], want)
			}
		}
		// Only installed carries the secret and the Forge installation.
		secret, hasSecret := payload["sharedSecret"]
		_, hasID := payload["installationId"]
		if want := event == fakehost.Installed; hasSecret != want || hasID != want {
			t.Errorf("%s: has a secret: %t, an installation id: %t; want %t", event, hasSecret, hasID, want)
		}
		if hasSecret && secret != callback.Secret {
			t.Errorf("%s: the secret is not the one that the site is to sign with", event)
		}
	}
}

func TestSymmetricCallbacksAreSignedWithTheSecretBefore(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := newSite(t, a, symmetric)
	signer := "" // of the next installed or uninstalled: what the site held before it
	for _, step := range []struct {
		name string
		do   func(context.Context) (fakehost.Answer, error)
	}{
		{"install", site.Install},
		{"rotate", site.Rotate},
		{"rename", func(ctx context.Context) (fakehost.Answer, error) {
			return site.Rename(ctx, "https://renamed.atlassian.net")
		}},
		{"uninstall", site.Uninstall},
		{"install again", site.Install},
	} {
		if _, err := step.do(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		token := a.last(t).token(t)
		if signer == "" {
			if token != "" {
				t.Errorf("%s: signed, want no token", step.name)
			}
		} else if claims := verify(t, token, signer); claims["aud"] != nil {
			t.Errorf("%s: audience %v, want none", step.name, claims["aud"])
		}
		signer = site.Secret()
	}
}

func TestEnabledAndDisabledAreSignedWithTheSettledSecret(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*fakehost.Config){"signed installs": func(*fakehost.Config) {}, "symmetric": symmetric} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a, edit)
			for _, do := range []func(context.Context) (fakehost.Answer, error){site.Enable, site.Disable} {
				if _, err := do(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := a.last(t)
				claims := verify(t, got.token(t), site.Secret())
				wantClaims(t, claims, map[string]any{"iss": site.ClientKey(), "aud": nil, "qsh": qsh.Hash("POST", got.uri, ""), "exp": float64(now.Unix() + 180)})
			}
		})
	}
}

func TestADisabledAfterTheUninstallIsNotSigned(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	if _, err := site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := site.Disable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.last(t); got.uri != "/disabled" || got.token(t) != "" {
		t.Errorf("got %s with the token %q, want /disabled without one", got.uri, got.token(t))
	}
}

func TestAnUninstallSucceedsWhateverTheAppAnswers(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"accepted": 204, "not found": 404, "failed": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a)
			secret := site.Secret()
			a.answer(status)
			answer, err := site.Uninstall(t.Context())
			if answer.Accepted() != (err == nil) || answer.StatusCode != status {
				t.Errorf("got status %d and error %v, want %d", answer.StatusCode, err, status)
			}
			if site.Installed() {
				t.Error("the app is still installed")
			}
			if site.Secret() != secret {
				t.Error("the site has not kept its secret as a remnant")
			}
		})
	}
}

func TestARenameKeepsTheSecretAndOutlastsARefusal(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	secret := site.Secret()
	a.answer(http.StatusInternalServerError)
	if _, err := site.Rename(t.Context(), "https://renamed.atlassian.net"); !errors.Is(err, fakehost.ErrRefused) {
		t.Fatalf("got error %v, want ErrRefused", err)
	}
	payload := a.last(t).payload(t)
	if payload["baseUrl"] != "https://renamed.atlassian.net" || payload["sharedSecret"] != secret || payload["eventType"] != "installed" {
		t.Errorf("got %v of %v, want installed with the new base URL and the same secret", payload["eventType"], payload["baseUrl"])
	}
	if site.BaseURL() != "https://renamed.atlassian.net" || site.Secret() != secret || !site.Installed() {
		t.Errorf("the site is at %s, installed %t; want it renamed, and nothing else changed", site.BaseURL(), site.Installed())
	}
}

func TestAnUpdateOffersTheSameSecretAndIsUndoneByARefusal(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, symmetric)
	secret := site.Secret()
	next := fakehost.Descriptor{Key: "com.example.app", Lifecycle: map[fakehost.Event]string{fakehost.Installed: "v2/installed"}}

	a.answer(http.StatusBadGateway)
	if _, err := site.Update(t.Context(), next); !errors.Is(err, fakehost.ErrRefused) {
		t.Fatalf("got error %v, want ErrRefused", err)
	}
	if got := a.last(t); got.uri != "/v2/installed" || got.payload(t)["sharedSecret"] != secret {
		t.Errorf("got %s, want /v2/installed with the same secret", got.uri)
	}
	a.on(nil)
	if _, err := site.Enable(t.Context()); err != nil || a.last(t).uri != "/enabled" {
		t.Errorf("after the refusal the site called %s (error %v), want /enabled of the old version", a.last(t).uri, err)
	}

	seen := len(a.all()) + 1
	if _, err := site.Update(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	token, _, err := jwt.NewParser().ParseUnverified(a.last(t).token(t), jwt.MapClaims{})
	if err != nil || token.Header["alg"] != "RS256" {
		t.Errorf("the new version asks for signed installs, but the update is signed otherwise (error %v)", err)
	}
	if _, err := site.Enable(t.Context()); err != nil || len(a.all()) != seen {
		t.Errorf("the new version has no path for enabled, but %s was called (error %v)", a.last(t).uri, err)
	}
	if site.Secret() != secret {
		t.Error("the secret has changed")
	}
}

func TestAnAppWithoutACallbackIsNotCalled(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, func(c *fakehost.Config) {
		c.App.Lifecycle = map[fakehost.Event]string{fakehost.Installed: "/installed?user_key=admin"}
	})
	if got := a.last(t); got.uri != "/installed?user_key=admin" {
		t.Errorf("installed went to %s, want the path with its query", got.uri)
	}
	if _, err := site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(a.all()) != 1 || site.Installed() {
		t.Errorf("%d calls, installed %t; want the one of the install, and the app gone", len(a.all()), site.Installed())
	}
}

func TestASiteDoesOnlyWhatItsStateAllows(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := newSite(t, a)
	ctx := t.Context()
	for name, do := range map[string]func() (fakehost.Answer, error){
		"rotate":    func() (fakehost.Answer, error) { return site.Rotate(ctx) },
		"rename":    func() (fakehost.Answer, error) { return site.Rename(ctx, "https://renamed.atlassian.net") },
		"uninstall": func() (fakehost.Answer, error) { return site.Uninstall(ctx) },
		"update": func() (fakehost.Answer, error) {
			return site.Update(ctx, fakehost.Descriptor{Key: "com.example.app"})
		},
		"get": func() (fakehost.Answer, error) { return site.Get(ctx, "/panel") },
	} {
		if _, err := do(); err == nil {
			t.Errorf("%s before the install: no error", name)
		}
	}
	if _, err := site.Install(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := site.Install(ctx); err == nil {
		t.Error("a second install: no error")
	}
	if len(a.all()) != 1 {
		t.Errorf("the app was called %d times, want once", len(a.all()))
	}
}
