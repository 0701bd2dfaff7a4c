package fakehost_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
)

func TestAPageIsLoadedWithATokenInItsURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, base, target, uri string }{
		{"without a query", "", "/panel", "/panel?jwt="},
		{"with a query", "", "/panel?issue=HB-1&list=b&list=a", "/panel?issue=HB-1&list=b&list=a&jwt="},
		{"under a base path", "/connect", "/panel", "/connect/panel?jwt="},
		{"without a slash", "/connect", "panel", "/connect/panel?jwt="},
		{"the root", "", "", "/?jwt="},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			site := installed(t, a, func(c *fakehost.Config) { c.App.BaseURL += test.base; c.AccountID = "5b10a2844c20165700ede21g" })
			a.answer(http.StatusTeapot)
			answer, err := site.Get(t.Context(), test.target)
			if err != nil || answer.StatusCode != http.StatusTeapot {
				t.Fatalf("got status %d and error %v, want the app's own answer", answer.StatusCode, err)
			}
			got := a.last(t)
			token, ok := strings.CutPrefix(got.uri, test.uri)
			if !ok || got.method != http.MethodGet || len(got.authorization) != 0 {
				t.Fatalf("got %s %s, want GET %s…, and no header", got.method, got.uri, test.uri)
			}
			claims := verify(t, token, site.Secret())
			wantClaims(t, claims, map[string]any{
				"iss": site.ClientKey(),
				"sub": "5b10a2844c20165700ede21g",
				"iat": float64(now.Unix()),
				"exp": float64(now.Unix() + 180),
				"qsh": qsh.Hash("GET", test.target, ""),
			})
		})
	}
}

func TestTheQueryHashIsMadeOverTheDecodedPath(t *testing.T) {
	t.Parallel()
	// SHA-256 of the canonical requests in the names, by another tool than this one.
	for _, test := range []struct{ name, method, target, want string }{
		{"POST&/hook/http://abc.com&", "POST", "/hook/http%3A%2F%2Fabc.com", "0d0cb7ab1f0c354bd06a2a36fde05221e00b080b3863184fff000137107be09f"},
		{"GET&/what?/why%26how&a=%3F&b=", "GET", "/what%3F/why%26how/?b&a=%3F", "057028b0fee83965c0811844411328939361690c20deb49fc9316ba9debe65d8"},
		{"GET&/what?&", "GET", "what%3F", "46ff2f1be371129a8ad25704769e030ae9073f01b8966ae16cb5bd010452a9ee"},
		{"GET&/50% off&", "GET", "/50% off", "2999baf54aad98b210bbdb4f7f45483a3d696c108f2015c70c9513184e1d25cf"}, // no escape: the path is taken as it is
	} {
		site := newSite(t, newApp(t))
		if got := site.Token(test.method, test.target).Claims["qsh"]; got != test.want {
			t.Errorf("%s: hash is %v, want %s", test.name, got, test.want)
		}
	}
}

// Whatever a site signs, a verifier that follows the rules accepts for the same request.
func FuzzTheQueryHashOfASiteIsAccepted(f *testing.F) {
	f.Add("GET", "panel?issue=HB-1")
	f.Add("POST", "hook/http%3A%2F%2Fabc.com/?b=2&b=1&jwt=x")
	f.Add("PUT", "a%3Fb%26c/%?%zz")
	site, err := fakehost.New(fakehost.Config{
		App: fakehost.Descriptor{Key: "com.example.app", BaseURL: "https://app.example.com", Symmetric: true},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		target = "/" + target
		if hash := site.Token(method, target).Claims["qsh"].(string); !qsh.Match(hash, method, target, "") {
			t.Errorf("%q %q: not accepted", method, target)
		}
	})
}

func TestTokenLifeIsConfigurable(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a, func(c *fakehost.Config) { c.TokenLife = time.Minute })
	for name, token := range map[string]*fakehost.Token{
		"request":  site.Token("GET", "/panel"),
		"context":  site.ContextToken(),
		"callback": site.Callback(fakehost.Installed).Token,
	} {
		if got, want := token.Claims["exp"], now.Unix()+60; got != want {
			t.Errorf("%s: exp is %v, want %d", name, got, want)
		}
	}
}

func TestAContextTokenIsBoundToNoURL(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	if _, err := site.Do(t.Context(), http.MethodGet, "/api/me", site.ContextToken().As("user-2"), nil); err != nil {
		t.Fatal(err)
	}
	claims := verify(t, a.last(t).token(t), site.Secret())
	wantClaims(t, claims, map[string]any{"iss": site.ClientKey(), "qsh": "context-qsh", "sub": "user-2"})
}

func TestATokenWithoutAUserHasAnEmptyContext(t *testing.T) {
	t.Parallel()
	site := installed(t, newApp(t))
	token := site.Token("GET", "/panel").As("")
	if sub, ok := token.Claims["sub"]; ok {
		t.Errorf("sub is %v, want none", sub)
	}
	if context, ok := token.Claims["context"].(map[string]any); !ok || len(context) != 0 {
		t.Errorf("context is %v, want an empty object", token.Claims["context"])
	}
}

func TestAWebhookHasItsTokenInTheHeader(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	if _, err := site.Webhook(t.Context(), "/hook?a=b", []byte(`{"issue":1}`)); err != nil {
		t.Fatal(err)
	}
	got := a.last(t)
	if got.method != http.MethodPost || got.uri != "/hook?a=b" || got.body != `{"issue":1}` || got.contentType != "application/json" {
		t.Errorf("got %+v", got)
	}
	wantClaims(t, verify(t, got.token(t), site.Secret()), map[string]any{"qsh": qsh.Hash("POST", "/hook?a=b", "")})
}

func TestAPageThatWasMadeEarlierKeepsItsToken(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	old := site.Secret()
	page, err := site.PageURL("/panel")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, u.Query().Get("jwt"), old)
}

func TestAPageThatRedirectsIsShownAsARedirect(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	a.on(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) })
	answer, err := site.Get(t.Context(), "/panel")
	if err != nil || answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != "/login" {
		t.Errorf("got status %d to %q and error %v, want 302 to /login", answer.StatusCode, answer.Header.Get("Location"), err)
	}
}

func TestErrorsHoldNeitherTokenNorSecret(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	site := installed(t, a)
	a.on(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, pageErr := site.Get(t.Context(), "/panel")
	_, callbackErr := site.Rotate(t.Context())
	for name, err := range map[string]error{"page": pageErr, "callback": callbackErr} {
		if !errors.Is(err, fakehost.ErrNoAnswer) {
			t.Errorf("%s: got error %v, want ErrNoAnswer", name, err)
			continue
		}
		if text := err.Error(); strings.Contains(text, "eyJ") || strings.Contains(text, "ATCO") {
			t.Errorf("%s: %q gives away a token or a secret", name, text)
		}
	}
	if _, err := site.Get(t.Context(), "/%zz"); err == nil || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("a target that is no URL: got error %v, want one without the token", err)
	}
}

func TestSigning(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"iss": "a-client-key"}
	_, private := keys.Current()
	for name, test := range map[string]struct {
		alg    string
		key    any
		verify any
	}{
		"HS256":             {"HS256", []byte("secret"), []byte("secret")},
		"HS512":             {"HS512", []byte("secret"), []byte("secret")},
		"with an empty key": {"HS256", []byte{}, []byte{}},
		"RS256":             {"RS256", private, &private.PublicKey},
		"PS256":             {"PS256", private, &private.PublicKey},
		"none":              {"none", nil, jwt.UnsafeAllowNoneSignatureType},
	} {
		token := fakehost.Token{Header: map[string]any{"alg": test.alg}, Claims: claims, Key: test.key}
		signed, err := token.Sign()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := jwt.Parse(signed, func(*jwt.Token) (any, error) { return test.verify, nil }, jwt.WithValidMethods([]string{test.alg})); err != nil {
			t.Errorf("%s: the token does not verify: %v", name, err)
		}
	}
	for name, token := range map[string]fakehost.Token{
		"no algorithm":       {Header: map[string]any{}, Claims: claims, Key: []byte("secret")},
		"an unknown one":     {Header: map[string]any{"alg": "hs256"}, Claims: claims, Key: []byte("secret")},
		"no key":             {Header: map[string]any{"alg": "HS256"}, Claims: claims},
		"a key of a sort":    {Header: map[string]any{"alg": "RS256"}, Claims: claims, Key: []byte("secret")},
		"no JSON for claims": {Header: map[string]any{"alg": "HS256"}, Claims: map[string]any{"iss": func() {}}, Key: []byte("secret")},
	} {
		if signed, err := token.Sign(); err == nil || signed != "" {
			t.Errorf("%s: got token %q and error %v, want an error", name, signed, err)
		}
	}
}
