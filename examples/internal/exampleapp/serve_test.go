package exampleapp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
)

// panelOf returns the panel of a site, as a server serves it.
func panelOf(t *testing.T, config fakehost.Config) fakehost.Answer {
	t.Helper()
	config.Keys = new(fakehost.Keys)
	keyHost := httptest.NewServer(config.Keys)
	t.Cleanup(keyHost.Close)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	config.App = fakehost.Descriptor{Key: "com.example.panel", BaseURL: server.URL}
	app, err := core.New(core.Config{
		AppKey: config.App.Key, BaseURL: server.URL, Store: memstore.New(),
		KeyHosts: []string{keyHost.URL}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	httpconnect.Mount(mux, app)
	mux.Handle("GET /panel", httpconnect.Authenticate(app)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(Panel(httpconnect.Principal(r), w.Header().Set))
	})))
	site, err := fakehost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer, err := site.Get(t.Context(), "/panel?xdm_e=https%3A%2F%2Fevil.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<dd>" + site.Fingerprint()[:12] + "</dd>"; !strings.Contains(string(answer.Body), want) {
		t.Errorf("the panel does not hold %s:\n%s", want, answer.Body)
	}
	if strings.Contains(string(answer.Body), site.Secret()) {
		t.Error("the secret is in the panel")
	}
	return answer
}

func TestThePanelShowsForWhomItSpeaks(t *testing.T) {
	t.Parallel()
	answer := panelOf(t, fakehost.Config{
		BaseURL: "https://ada.atlassian.net/wiki", ProductType: "confluence", AccountID: "<script>alert(1)</script>",
	})
	for _, want := range []string{
		"<dd>https://ada.atlassian.net/wiki</dd>",
		"<dd>url_bound</dd>",
		"<dd>&lt;script&gt;alert(1)&lt;/script&gt;</dd>",
	} {
		if !strings.Contains(string(answer.Body), want) {
			t.Errorf("the panel does not hold %s:\n%s", want, answer.Body)
		}
	}
}

func TestOnlyTheSiteItselfMayFrameThePanel(t *testing.T) {
	t.Parallel()
	answer := panelOf(t, fakehost.Config{BaseURL: "https://ada.atlassian.net/wiki"})
	policy := answer.Header.Get("Content-Security-Policy")
	if want := "; frame-ancestors https://ada.atlassian.net"; !strings.HasSuffix(policy, want) {
		t.Errorf("got policy %q, want one that ends in %q", policy, want)
	}
	if got := answer.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("got Referrer-Policy %q, want no-referrer", got)
	}
}

func TestTheAppIsServedBelowThePathOfTheBaseURLAndWithoutIt(t *testing.T) {
	t.Parallel()
	for baseURL, want := range map[string][]string{
		"https://example.com":             {""},
		"https://example.com/":            {""},
		"https://example.com/connect":     {"", "/connect"},
		"https://example.com/connect/v1/": {"", "/connect/v1"},
	} {
		if got := paths(baseURL); !slices.Equal(got, want) {
			t.Errorf("BASE_URL %s: got paths %q, want %q", baseURL, got, want)
		}
	}
}

// down is a store that does not answer.
type down struct{ core.Store }

func (down) Bindings(context.Context, string) (map[core.Fingerprint]int, error) {
	return nil, errors.New("no answer")
}

func TestHealthIsThatOfTheStore(t *testing.T) {
	t.Parallel()
	// A site needs an app-wide secret that is not configured: that is no reason to turn all others away.
	wanting := memstore.New()
	_, err := wanting.Put(t.Context(), &core.Installation{
		Key: core.Key{AppKey: "com.example.app", ClientKey: "ada"}, State: core.Installed, Signing: core.SignedRS256,
		Secrets: []core.StoredSecret{{Fingerprint: "app-wide", State: core.Usable, Bound: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for store, want := range map[core.Store]int{memstore.New(): 200, wanting: 200, down{}: 503} {
		app, err := core.New(core.Config{AppKey: "com.example.app", BaseURL: "http://localhost", Store: store})
		if err != nil {
			t.Fatal(err)
		}
		if got := Health(t.Context(), app); got != want {
			t.Errorf("with a %T: got %d, want %d", store, got, want)
		}
	}
}
