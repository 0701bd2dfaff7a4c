package core_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/internal/vectors"
	"github.com/hostbond/hostbond/core/memstore"
)

// vectorApp is an app at https://app.example for which time stands still.
func vectorApp(t *testing.T, now time.Time, change func(*core.Config)) *core.App {
	t.Helper()
	config := core.Config{
		AppKey: "com.example.addon", BaseURL: "https://app.example", Store: memstore.New(),
		KeyTransport: &keyFile{}, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	}
	change(&config)
	app, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// putTenant makes the app's installation on a site known, as if Atlassian had signed for it.
func putTenant(t testing.TB, store core.Store, appKey, clientKey, secret string) {
	t.Helper()
	value, err := core.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Put(t.Context(), &core.Installation{
		Key:     core.Key{AppKey: appKey, ClientKey: clientKey},
		State:   core.Installed,
		Signing: core.SignedRS256,
		Secrets: []core.StoredSecret{{Fingerprint: value.Fingerprint(), State: core.Usable, Value: value}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// keyFile is a key host with one key, which remembers what it was asked for.
type keyFile struct {
	path, pem string

	mu    sync.Mutex
	asked []string
}

func (k *keyFile) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, r.URL.Path)
	if r.URL.Path != k.path {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(k.pem)), Request: r}, nil
}

// others returns the paths that were asked for, but for that of the key.
func (k *keyFile) others() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.asked), func(path string) bool { return path == k.path })
}

// hostileReasons says of each hostile token why it is refused on the route that it is made for: a page for a token of
// a site, the installed callback for one of Atlassian.
//
// No URL has the query hash of these tokens, and those of Atlassian have no audience. So a page refuses the good one
// for its query hash, the last of all checks, and the callback for its audience, after signature and times.
var hostileReasons = map[core.ReasonCode][]string{
	core.ReasonQueryHash: {"good-hs256", "alg-escaped-name"},
	core.ReasonAudience:  {"good-rs256", "aud-wrong", "aud-empty-array", "qsh-context-on-lifecycle"},

	core.ReasonAlgorithm: {
		"alg-none-none-empty-sig", "alg-none-None-empty-sig", "alg-none-None-keep-sig", "alg-none-NONE-keep-sig",
		"alg-none-nOnE-empty-sig", "alg-hs512-same-secret", "confusion-pem-as-hmac", "confusion-pem-trimmed-as-hmac",
		"rs256-token-on-hs256-endpoint", "hs256-token-on-rs256-endpoint",
	},
	core.ReasonUnknownKey: {
		"kid-a", "kid-b", "kid-d", "kid-e", "kid-g", "kid-h", "kid-j", "kid-k", "kid-m", "kid-n", "kid-p", "kid-q", "kid-missing",
	},
	core.ReasonHeader: {"jwk-embedded", "x5u", "crit-b64-false", "crit-empty"},
	core.ReasonClaims: {
		"iss-empty", "iss-space", "iss-256plus", "iss-missing", "exp-missing", "iat-missing", "iat-after-exp", "nbf-future",
	},
	core.ReasonTokenMalformed: {
		"alg-none--empty-sig", "alg-none--keep-sig", "alg-null", "alg-array", "alg-dup-none-then-hs256", "kid-number",
		"header-array", "header-trailing-json", "dup-iss", "dup-iss-escaped", "case-only-Iss", "case-EXP-extends", "dup-qsh",
		"payload-null", "payload-empty", "payload-trailing", "invalid-utf8-iss", "lone-surrogate-iss", "exp-null", "exp-1e300",
		"exp-int64max", "qsh-array", "aud-object", "sig-newline", "sig-crlf-end", "std-alphabet", "leading-space", "two-parts",
		"empty", "flattened-json", "percent-encoded", "token-16k",
	},
	core.ReasonTokenLife:    {"lifetime-10y"},
	core.ReasonTokenKind:    {"qsh-context-on-normal"},
	core.ReasonBadSignature: {"sig-all-zero"},
}

type hostileCorpus struct {
	Clock, Exp                                         int64
	HS256Secret, RSAPublicKeyPEM, Note, LibraryOptions string
	Tests                                              []hostileToken
}

type hostileToken struct {
	ID, Class, Mode, Token, Expect, Note string
	BareLibrary                          string `json:"golangJWT_v5_3_1"`
}

// routes returns how the token fares on every route, in both places.
func (h hostileToken) routes(t *testing.T, app *core.App) (errs map[string]error) {
	t.Helper()
	errs = map[string]error{}
	for place, request := range map[string]core.Request{
		"header":    {Target: "/panel?x=1", Authorization: []string{"JWT " + h.Token}},
		"parameter": {Target: "/panel?jwt=" + h.Token},
	} {
		request.Method = http.MethodGet
		_, errs["page "+place] = app.Authenticate(t.Context(), request)
		request.Method = http.MethodPost
		for _, event := range []core.Event{core.EventInstalled, core.EventUninstalled, core.EventEnabled, core.EventDisabled} {
			_, errs[string(event)+" "+place] = app.Lifecycle(t.Context(), event, request)
		}
	}
	return errs
}

func TestHostileTokens(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[hostileCorpus](t, "hostile-tokens.json")
	want := map[string]core.ReasonCode{}
	for reason, ids := range hostileReasons {
		for _, id := range ids {
			want[id] = reason
		}
	}
	// In a bubble, since after a bad signature an app waits until it may read the store again.
	synctest.Test(t, func(t *testing.T) {
		host := &keyFile{path: "/6ea3a6d4-77a9-4b0c-9b0e-1f0d6c7f3b11", pem: corpus.RSAPublicKeyPEM}
		app := vectorApp(t, time.Unix(corpus.Clock, 0), func(c *core.Config) {
			c.KeyTransport = host
			for _, clientKey := range []string{"client-1", "client-2"} {
				putTenant(t, c.Store, c.AppKey, clientKey, corpus.HS256Secret)
			}
		})
		defer app.Close(t.Context())
		for _, test := range corpus.Tests {
			errs := test.routes(t, app)
			for route, err := range errs {
				if status := core.StatusCode(err); err == nil || core.Reason(err) == "" || status != http.StatusUnauthorized {
					t.Errorf("%s on %s: got status %d, %v; want a refusal with status 401", test.ID, route, status, err)
				}
				if text := errorText(err); test.Token != "" && strings.Contains(text, test.Token) {
					t.Errorf("%s on %s: the error holds the token: %s", test.ID, route, text)
				}
			}
			meantFor := map[string]string{"hs256": "page", "rs256": "installed"}[test.Mode]
			for _, place := range []string{" header", " parameter"} {
				if got := core.Reason(errs[meantFor+place]); got != want[test.ID] {
					t.Errorf("%s on %s: reason: got %q, want %q", test.ID, meantFor+place, got, want[test.ID])
				}
			}
			if accepted := want[test.ID] == core.ReasonQueryHash || test.ID == "good-rs256"; accepted != (test.Expect == "accept") {
				t.Errorf("%s: the corpus expects %s, this test another outcome", test.ID, test.Expect)
			}
		}
		if asked := host.others(); len(asked) > 0 {
			t.Errorf("the key host was asked for %q", asked)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The good tokens pass every check but the last, and one of the others is good on a route of its own.
func TestHostileTokensAreOtherwiseGood(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[hostileCorpus](t, "hostile-tokens.json")
	app := vectorApp(t, time.Unix(corpus.Clock, 0), func(c *core.Config) {
		c.KeyTransport = &keyFile{path: "/6ea3a6d4-77a9-4b0c-9b0e-1f0d6c7f3b11", pem: corpus.RSAPublicKeyPEM}
		putTenant(t, c.Store, c.AppKey, "client-1", corpus.HS256Secret)
	})
	defer app.Close(t.Context())
	for _, test := range corpus.Tests {
		request := core.Request{Method: http.MethodPost, Target: "/", Authorization: []string{"JWT " + test.Token}}
		switch test.ID {
		case "qsh-context-on-normal":
			p, err := app.Authenticate(t.Context(), request, core.ContextToken)
			if err != nil || p.ClientKey != "client-1" || p.Kind != core.ContextToken {
				t.Errorf("%s where context tokens are accepted: got %+v, %v; want a principal of client-1", test.ID, p, err)
			}
		case "good-hs256", "good-rs256": // enabled takes both algorithms, and asks for no audience
			if _, err := app.Lifecycle(t.Context(), core.EventEnabled, request); core.Reason(err) != core.ReasonQueryHash {
				t.Errorf("%s: reason: got %q, want %q", test.ID, core.Reason(err), core.ReasonQueryHash)
			}
		case "qsh-context-on-lifecycle":
			if _, err := app.Lifecycle(t.Context(), core.EventEnabled, request); core.Reason(err) != core.ReasonTokenKind {
				t.Errorf("%s: reason: got %q, want %q", test.ID, core.Reason(err), core.ReasonTokenKind)
			}
		}
	}
}

func TestOfficialSignedURLs(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Secret, Comment string
		Tests           []struct{ Name, CanonicalURL, SignedURL string }
	}](t, "qsh-signed-urls.json")
	var now atomic.Int64 // in Unix seconds
	app := vectorApp(t, time.Time{}, func(c *core.Config) {
		c.BaseURL = "https://example.com"
		c.Now = func() time.Time { return time.Unix(now.Load(), 0) }
		putTenant(t, c.Store, c.AppKey, "jira:1234-5678-9000", corpus.Secret)
	})
	defer app.Close(t.Context())
	for n, test := range corpus.Tests {
		target := strings.TrimPrefix(test.SignedURL, "https://example.com")
		signed, err := url.Parse(test.SignedURL)
		if err != nil {
			t.Fatal(err)
		}
		raw := signed.Query().Get("jwt")
		now.Store(issuedAt(t, raw))
		p, err := app.Authenticate(t.Context(), core.Request{Method: http.MethodGet, Target: target})
		if err != nil || p.ClientKey != "jira:1234-5678-9000" || p.Kind != core.URLBound || p.IssuedAt.Unix() != now.Load() {
			t.Errorf("%s: got %+v, %v; want a principal of jira:1234-5678-9000", test.Name, p, err)
		}
		_, err = app.Authenticate(t.Context(), core.Request{Method: http.MethodPost, Target: target})
		if core.Reason(err) != core.ReasonQueryHash {
			t.Errorf("%s: with another method: reason: got %q, want %q", test.Name, core.Reason(err), core.ReasonQueryHash)
		}
		other := corpus.Tests[(n+2)%len(corpus.Tests)]
		if other.CanonicalURL == test.CanonicalURL {
			continue
		}
		elsewhere := core.Request{Method: http.MethodGet, Authorization: []string{"JWT " + raw}}
		elsewhere.Target, _, _ = strings.Cut(strings.TrimPrefix(other.SignedURL, "https://example.com"), "jwt=")
		if _, err := app.Authenticate(t.Context(), elsewhere); core.Reason(err) != core.ReasonQueryHash {
			t.Errorf("%s: at the URL of %s: reason: got %q, want %q", test.Name, other.Name, core.Reason(err), core.ReasonQueryHash)
		}
	}
}

func issuedAt(t *testing.T, raw string) int64 {
	t.Helper()
	var claims struct{ Iat int64 }
	if err := json.Unmarshal(segment(t, raw, 1), &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Iat
}

// segment returns a part of a token decoded.
func segment(t *testing.T, raw string, n int) []byte {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("%q has %d parts, want 3", raw, len(parts))
	}
	decoded, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

// signHS256 returns a token with these claims, signed with the secret.
func signHS256(secret, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(input))
	return input + "." + encode(mac.Sum(nil))
}

// TestClaimsOfAtlassiansReader holds the app against the tests of Atlassian's own reader. Its tokens have no query hash,
// so each is signed anew as a context token.
func TestClaimsOfAtlassiansReader(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Source        string
		LeewaySeconds int
		Tests         []struct {
			Name, Secret, Token, Expect, ACEResult string
			Now                                    float64
			Claims, RequiredClaims                 map[string]any
		}
	}](t, "jwt-claims.json")
	want := map[string][]core.ReasonCode{
		"ok":            {""},
		"expired":       {core.ReasonExpired},
		"too-early":     {core.ReasonNotYetValid},
		"bad-signature": {core.ReasonBadSignature},
		"invalid-claim": {core.ReasonClaims, core.ReasonTokenMalformed},
		"parse-error":   {core.ReasonTokenMalformed},
	}
	for _, test := range corpus.Tests {
		if test.RequiredClaims != nil && test.Expect != "ok" {
			continue // a claim of the caller's choice; the app demands its own
		}
		raw := test.Token
		if test.Expect != "parse-error" {
			bound := signHS256(test.Secret, strings.TrimSuffix(string(segment(t, raw, 1)), "}")+`,"qsh":"context-qsh"}`)
			if test.Claims == nil { // they were tampered with after the token was signed
				bound = bound[:strings.LastIndexByte(bound, '.')] + raw[strings.LastIndexByte(raw, '.'):]
			}
			raw = bound
		}
		synctest.Test(t, func(t *testing.T) {
			app := vectorApp(t, time.UnixMilli(int64(test.Now*1000)), func(c *core.Config) {
				c.Leeway = time.Duration(corpus.LeewaySeconds) * time.Second
				for _, clientKey := range []string{"joe", "adminjoe"} {
					putTenant(t, c.Store, c.AppKey, clientKey, strings.Repeat("secret", 10))
				}
			})
			defer app.Close(t.Context())
			request := core.Request{Method: http.MethodGet, Target: "/", Authorization: []string{"JWT " + raw}}
			_, err := app.Authenticate(t.Context(), request, core.ContextToken)
			if got := core.Reason(err); !slices.Contains(want[test.Expect], got) {
				t.Errorf("%s: reason: got %q, want one of %q", test.Name, got, want[test.Expect])
			}
		})
	}
}
