package fakehost_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hostbond/hostbond/core/fakehost"
)

// keys are shared, since making one takes a while. Tests that change them make their own.
var keys = new(fakehost.Keys)

// now is a fixed moment; sites with this clock make tokens at it.
var now = time.Unix(1_800_000_000, 0)

// app is an app that notes every request and answers whatever the test wants, 204 if it wants nothing.
type app struct {
	URL string

	mu       sync.Mutex
	handle   http.HandlerFunc
	requests []request
}

type request struct {
	method, uri   string
	contentType   string
	authorization []string
	body          string
}

// newApp starts an app. It ends with the test.
func newApp(t *testing.T) *app {
	t.Helper()
	a := new(app)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.requests = append(a.requests, request{
		method: r.Method, uri: r.RequestURI, contentType: r.Header.Get("Content-Type"),
		authorization: r.Header.Values("Authorization"), body: string(body),
	})
	handle := a.handle
	a.mu.Unlock()
	if handle == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	handle(w, r)
}

// on makes the app answer with handle from now on.
func (a *app) on(handle http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handle = handle
}

// answer makes the app answer with a status from now on.
func (a *app) answer(status int) {
	a.on(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

func (a *app) all() []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// last returns the last request that the app has seen.
func (a *app) last(t *testing.T) request {
	t.Helper()
	all := a.all()
	if len(all) == 0 {
		t.Fatal("the app has seen no request")
	}
	return all[len(all)-1]
}

// token returns the token in the Authorization header, or "".
func (r request) token(t *testing.T) string {
	t.Helper()
	switch len(r.authorization) {
	case 0:
		return ""
	case 1:
		token, ok := strings.CutPrefix(r.authorization[0], "JWT ")
		if !ok {
			t.Fatalf("Authorization is %q, want the scheme JWT", r.authorization[0])
		}
		return token
	default:
		t.Fatalf("%d Authorization headers, want one", len(r.authorization))
		return ""
	}
}

func (r request) payload(t *testing.T) map[string]any {
	t.Helper()
	var payload map[string]any
	if err := json.Unmarshal([]byte(r.body), &payload); err != nil {
		t.Fatalf("payload: %v", err)
	}
	return payload
}

// newSite returns a site for the app, with signed installs and a fixed clock. Edits change its configuration first.
func newSite(t *testing.T, a *app, edits ...func(*fakehost.Config)) *fakehost.Site {
	t.Helper()
	config := fakehost.Config{
		App:  fakehost.Descriptor{Key: "com.example.app", BaseURL: a.URL},
		Keys: keys,
		Now:  func() time.Time { return now },
	}
	for _, edit := range edits {
		edit(&config)
	}
	site, err := fakehost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func symmetric(c *fakehost.Config) { c.App.Symmetric = true }

// installed returns a site that has installed the app.
func installed(t *testing.T, a *app, edits ...func(*fakehost.Config)) *fakehost.Site {
	t.Helper()
	site := newSite(t, a, edits...)
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	return site
}

// verify returns the claims of a token that is signed with the shared secret.
func verify(t *testing.T, token, secret string) jwt.MapClaims {
	t.Helper()
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	if _, err := parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(secret), nil }); err != nil {
		t.Fatalf("token is not signed with the secret: %v", err)
	}
	return claims
}

func TestNewRefusesWhatNoSiteCouldUse(t *testing.T) {
	t.Parallel()
	good := fakehost.Config{App: fakehost.Descriptor{Key: "com.example.app", BaseURL: "https://app.example.com"}, Keys: keys}
	if _, err := fakehost.New(good); err != nil {
		t.Fatalf("the least configuration: %v", err)
	}
	for name, test := range map[string]struct {
		edit func(*fakehost.Config)
		want string
	}{
		"no URL at all":         {func(c *fakehost.Config) { c.App.BaseURL = "" }, "AppURL"},
		"a relative URL":        {func(c *fakehost.Config) { c.AppURL = "/app" }, "AppURL"},
		"a URL with a query":    {func(c *fakehost.Config) { c.AppURL = "https://app.example.com?a=b" }, "AppURL"},
		"no app key":            {func(c *fakehost.Config) { c.App.Key = "" }, "App.Key"},
		"signed without keys":   {func(c *fakehost.Config) { c.Keys = nil }, "Keys"},
		"no path for installed": {func(c *fakehost.Config) { c.App.Lifecycle = map[fakehost.Event]string{} }, "App.Lifecycle"},
		"an unknown product":    {func(c *fakehost.Config) { c.ProductType = "trello" }, "ProductType"},
		"a secret too short":    {func(c *fakehost.Config) { c.SecretBytes = 15 }, "SecretBytes"},
		"a negative life":       {func(c *fakehost.Config) { c.TokenLife = -time.Second }, "TokenLife"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			test.edit(&config)
			if _, err := fakehost.New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that names %s", err, test.want)
			}
		})
	}
}

func TestTheCallersConfigurationIsNotShared(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	paths := map[fakehost.Event]string{fakehost.Installed: "/one"}
	extra := map[string]any{"cloudId": "c1"}
	site := newSite(t, a, func(c *fakehost.Config) { c.App.Lifecycle, c.Payload = paths, extra })
	paths[fakehost.Installed], extra["cloudId"] = "/two", "c2"
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.last(t); got.uri != "/one" || got.payload(t)["cloudId"] != "c1" {
		t.Errorf("got %s with cloudId %v, want what New was given", got.uri, got.payload(t)["cloudId"])
	}
}

func TestDefaultsLookLikeARealSite(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	jira := newSite(t, a)
	confluence := newSite(t, a, func(c *fakehost.Config) { c.ProductType = "confluence" })
	for _, test := range []struct{ what, got, want string }{
		{"client key", jira.ClientKey(), `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`},
		{"base URL of Jira", jira.BaseURL(), `^https://site-[0-9a-f]{8}\.atlassian\.net$`},
		{"base URL of Confluence", confluence.BaseURL(), `^https://site-[0-9a-f]{8}\.atlassian\.net/wiki$`},
	} {
		if !regexp.MustCompile(test.want).MatchString(test.got) {
			t.Errorf("%s is %q, want %s", test.what, test.got, test.want)
		}
	}
	if jira.ClientKey() == confluence.ClientKey() {
		t.Error("two sites have the same client key")
	}
}

func TestASeedMakesASiteRepeatable(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	life := func(seed string) []string {
		site := newSite(t, a, func(c *fakehost.Config) { c.Seed = seed })
		ctx := t.Context()
		seen := []string{site.ClientKey(), site.BaseURL()}
		for _, step := range []func() (fakehost.Answer, error){
			func() (fakehost.Answer, error) { return site.Install(ctx) },
			func() (fakehost.Answer, error) { return site.Rotate(ctx) },
		} {
			if _, err := step(); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, site.Secret(), a.last(t).token(t))
		}
		return append(seen, site.Import().ClientKey())
	}
	one, same, other, random := life("one"), life("one"), life("two"), life("")
	if !slices.Equal(one, same) {
		t.Errorf("the same seed made %q and %q", one, same)
	}
	for i := range one {
		if one[i] == other[i] || one[i] == random[i] {
			t.Errorf("%q came from another seed too", one[i])
		}
	}
}

func TestFingerprintIsTheHashOfTheSecret(t *testing.T) {
	t.Parallel()
	site := newSite(t, newApp(t))
	if got := site.Fingerprint(); got != "" {
		t.Errorf("before the first install the fingerprint is %q, want none", got)
	}
	if _, err := site.Callback(fakehost.Installed).Offer("a shared secret of this test").Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "4561f09db0af4e94d75936cfcd252c6529dcc151a709c7ecbffc30285e31d25d"
	if got := site.Fingerprint(); got != want {
		t.Errorf("fingerprint is %s, want %s", got, want)
	}
}

func TestAnImportHasANewClientKeyAndNoApp(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	old := installed(t, a)
	if _, err := old.Rename(t.Context(), "https://renamed.atlassian.net"); err != nil {
		t.Fatal(err)
	}
	next := fakehost.Descriptor{Key: "com.example.app", Lifecycle: map[fakehost.Event]string{fakehost.Installed: "/v2/installed"}}
	if _, err := old.Update(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	secret, seen := old.Secret(), len(a.all())
	imported := old.Import()

	if imported.ClientKey() == old.ClientKey() {
		t.Error("the client key stayed, want a new one")
	}
	if imported.BaseURL() != old.BaseURL() {
		t.Errorf("base URL is %s, want %s as before", imported.BaseURL(), old.BaseURL())
	}
	if imported.Installed() || imported.Secret() != "" {
		t.Error("the app came with the import, want it to be gone")
	}
	if len(a.all()) != seen {
		t.Error("the app was told of the import, want silence")
	}
	if old.Secret() != secret {
		t.Error("the old site has lost its secret, want it kept for late tokens")
	}

	before := a.last(t).payload(t)
	if _, err := imported.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.last(t).uri; got != "/v2/installed" {
		t.Errorf("the app is installed from its old version, at %s", got)
	}
	after := a.last(t).payload(t)
	changed := slices.Sorted(maps.Keys(before))
	changed = slices.DeleteFunc(changed, func(member string) bool { return before[member] == after[member] })
	if want := []string{"clientKey", "oauthClientId", "sharedSecret"}; !slices.Equal(changed, want) {
		t.Errorf("the import changed %v of the payload, want %v", changed, want)
	}
}
