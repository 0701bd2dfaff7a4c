package core_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// Each step of the order in which a request is checked.

func TestRequestIsRefused(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) func(*bundle, *fakehost.Token) {
		return func(_ *bundle, token *fakehost.Token) { token.Claims[name] = value }
	}
	without := func(name string) func(*bundle, *fakehost.Token) {
		return func(_ *bundle, token *fakehost.Token) { delete(token.Claims, name) }
	}
	for _, c := range []struct {
		name   string
		change func(*bundle, *fakehost.Token)
		reason core.ReasonCode
	}{
		{"alg none", func(_ *bundle, token *fakehost.Token) { token.Header["alg"] = "none" }, core.ReasonAlgorithm},
		{"HS512 by the same secret", func(_ *bundle, token *fakehost.Token) { token.Header["alg"] = "HS512" }, core.ReasonAlgorithm},
		{"RS256 by Atlassian", func(b *bundle, token *fakehost.Token) {
			token.Header["alg"] = "RS256"
			token.Header["kid"], token.Key = b.keys.Current()
		}, core.ReasonAlgorithm},
		{"header with a key in it", func(_ *bundle, token *fakehost.Token) { token.Header["jwk"] = map[string]any{} }, core.ReasonHeader},
		{"header with a URL of a key", func(_ *bundle, token *fakehost.Token) { token.Header["jku"] = "https://x" }, core.ReasonHeader},
		{"without iss", without("iss"), core.ReasonClaims},
		{"without exp", without("exp"), core.ReasonClaims},
		{"without iat", without("iat"), core.ReasonClaims},
		{"without qsh", without("qsh"), core.ReasonClaims},
		{"exp as text", claim("exp", "1800000000"), core.ReasonTokenMalformed},
		{"lives for years", claim("exp", 1<<40), core.ReasonTokenLife},
		{"of our own", claim("iss", appKey), core.ReasonUnknownTenant},
		{"of an unknown tenant", claim("iss", "nobody"), core.ReasonUnknownTenant},
		{"by another key", func(_ *bundle, token *fakehost.Token) { token.Key = []byte("another key of sixteen bytes") }, core.ReasonBadSignature},
		{"expired", func(b *bundle, _ *fakehost.Token) { b.clock.advance(4 * time.Minute) }, core.ReasonExpired},
		{"from the future", func(b *bundle, _ *fakehost.Token) { b.clock.advance(-time.Minute) }, core.ReasonNotYetValid},
		{"not before later", func(b *bundle, token *fakehost.Token) {
			token.Claims["nbf"] = b.clock.Now().Add(time.Minute).Unix()
		}, core.ReasonNotYetValid},
		{"context token", claim("qsh", "context-qsh"), core.ReasonTokenKind},
		{"made for another URL", claim("qsh", strings.Repeat("0", 64)), core.ReasonQueryHash},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.install(t)
			token := b.site.Token(http.MethodGet, "/panel")
			c.change(b, token)
			answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", token, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != http.StatusUnauthorized || b.log.reason() != c.reason {
				t.Errorf("got %d %q, want 401 %q", answer.StatusCode, b.log.reason(), c.reason)
			}
		})
	}
}

func TestATokenOfOneTenantNeverActsForAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	other := b.newSite(t, fakehost.Config{})
	if _, err := other.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := other.Token(http.MethodGet, "/panel")
	token.Claims["iss"] = b.site.ClientKey()
	token.Claims["aud"] = other.ClientKey()
	answer, err := other.Do(t.Context(), http.MethodGet, "/panel", token, nil)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || b.log.reason() != core.ReasonBadSignature {
		t.Errorf("got %d %q, %v, want 401 bad_signature", answer.StatusCode, b.log.reason(), err)
	}
}

func TestARouteTakesTheKindsOfTokenItNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	for _, c := range []struct {
		path   string
		token  *fakehost.Token
		status int
	}{
		{"/panel", b.site.Token(http.MethodGet, "/panel"), http.StatusOK},
		{"/panel", b.site.ContextToken(), http.StatusUnauthorized},
		{"/api", b.site.ContextToken(), http.StatusOK},
		{"/api", b.site.Token(http.MethodGet, "/api"), http.StatusUnauthorized},
	} {
		answer, err := b.site.Do(t.Context(), http.MethodGet, c.path, c.token, nil)
		if err != nil || answer.StatusCode != c.status {
			t.Errorf("%s with qsh %.12v: got %d, %v, want %d", c.path, c.token.Claims["qsh"], answer.StatusCode, err, c.status)
		}
	}
}

// request returns a request to the app as an adapter would.
func request(t *testing.T, token *fakehost.Token, target string) core.Request {
	t.Helper()
	text, err := token.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return core.Request{Method: http.MethodGet, Target: target, Authorization: []string{"JWT " + text}}
}

func TestThePrincipalTellsForWhomTheRequestSpeaks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	token := b.site.Token(http.MethodGet, "/panel").As("5b10a2844c20165700ede21g")
	p, err := b.app.Authenticate(t.Context(), request(t, token, "/panel"))
	if err != nil {
		t.Fatal(err)
	}
	if p.AppKey != appKey || p.ClientKey != b.site.ClientKey() || p.AccountID != "5b10a2844c20165700ede21g" ||
		p.Kind != core.URLBound || string(p.Fingerprint) != b.site.Fingerprint() ||
		p.IssuedAt.Unix() != token.Claims["iat"] || p.ExpiresAt.Unix() != token.Claims["exp"] {
		t.Errorf("got %+v", p)
	}
	installation := p.Installation()
	if installation.Site.BaseURL != b.site.BaseURL() {
		t.Errorf("base URL: got %s, want %s", installation.Site.BaseURL, b.site.BaseURL())
	}
	installation.State = core.Uninstalled // a copy: nobody else is uninstalled by it
	if _, err := b.app.Authenticate(t.Context(), request(t, token, "/panel")); err != nil {
		t.Error(err)
	}
}

func TestANestedAuthenticateReusesThePrincipal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	p, err := b.app.Authenticate(t.Context(), request(t, b.site.Token(http.MethodGet, "/panel"), "/panel"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := core.WithPrincipal(t.Context(), p)
	if again, err := b.app.Authenticate(ctx, core.Request{}); err != nil || again != p {
		t.Errorf("got %v, %v, want the same principal", again, err)
	}
	if _, err := b.app.Authenticate(ctx, core.Request{}, core.ContextToken); core.Reason(err) != core.ReasonTokenMissing {
		t.Errorf("a route for context tokens: got %v, want token_missing", err)
	}
	other := setup(t)
	if _, err := other.app.Authenticate(ctx, core.Request{}); core.Reason(err) != core.ReasonTokenMissing {
		t.Errorf("another app: got %v, want token_missing", err)
	}
}

func TestABasePathIsLeftOutOfTheQueryHash(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *core.Config) {
		c.BaseURL += "/connect"
		c.BaseURLs = []string{"https://old.example.com/v1"}
	})
	const secret = "the secret of a site under a base path"
	b.store.install(t, b.site.ClientKey(), secret)
	for target, want := range map[string]core.ReasonCode{
		"/connect/panel": "",
		"/panel":         "", // a proxy stripped it
		"/v1/panel":      "", // under an older base URL
		"/other/panel":   core.ReasonQueryHash,
		"/connectpanel":  core.ReasonQueryHash,
	} {
		token := b.site.Token(http.MethodGet, "/panel")
		token.Key = []byte(secret)
		_, err := b.app.Authenticate(t.Context(), request(t, token, target))
		if got := core.Reason(err); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}

func TestAQueryHashThatMissesTellsTheOperatorWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	_, err := b.app.Authenticate(t.Context(), request(t, b.site.Token(http.MethodGet, "/panel"), "/app/panel"))
	mismatch, ok := errors.AsType[*core.QueryHashMismatch](err)
	if !ok || mismatch.Canonical != "GET&/app/panel&" || !strings.Contains(mismatch.NearMiss, "/app") {
		t.Fatalf("got %v: %+v, want the canonical request and the prefix", err, mismatch)
	}
	if !strings.Contains(err.Error(), mismatch.NearMiss) {
		t.Errorf("%q does not say that it %s", err, mismatch.NearMiss)
	}
}

// A token is a bearer token: whoever reads a log for some minutes after could use it.
func TestNoSecretAndNoTokenReachesTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	known := []string{b.site.Secret()}
	rotation := b.site.Callback(fakehost.Installed)
	known = append(known, rotation.Secret)
	for _, token := range []*fakehost.Token{rotation.Token, b.site.Token(http.MethodGet, "/panel"), b.site.Token(http.MethodGet, "/nowhere"), b.site.ContextToken()} {
		text, err := token.Sign()
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, text, text[strings.LastIndex(text, ".")+1:])
		_, err = b.app.Authenticate(t.Context(), core.Request{Method: http.MethodGet, Target: "/panel?jwt=" + text})
		b.log.note(fmt.Sprintf("%v %+v %#v", err, err, err))
	}
	if _, err := rotation.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.post(t, rotation.Offer("another secret under a used token"))
	known = append(known, "another secret under a used token")
	if b.log.String() == "" {
		t.Fatal("nothing was logged")
	}
	for n, text := range known {
		if strings.Contains(b.log.String(), text) {
			t.Errorf("secret or token %d is in the log:\n%s", n, b.log)
		}
	}
}
