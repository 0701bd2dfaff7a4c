package readme

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
)

func TestWhatTheREADMEShowsWorks(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*core.App, net.Listener) error{
		"Echo":     func(app *core.App, l net.Listener) error { return http.Serve(l, Echo(app)) },
		"Fiber":    func(app *core.App, l net.Listener) error { return Fiber(app).Listener(l) },
		"net/http": func(app *core.App, l net.Listener) error { return http.Serve(l, NetHTTP(app)) },
		"chi":      func(app *core.App, l net.Listener) error { return http.Serve(l, onChi(app)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := siteOf(t, serve)
			if answer, err := site.Install(t.Context()); err != nil {
				t.Fatalf("installed: got status %d, %v", answer.StatusCode, err)
			}
			answer, err := site.Get(t.Context(), "/panel?issue=HB-1")
			if err != nil || answer.StatusCode != http.StatusOK || string(answer.Body) != "Hello, Ada" {
				t.Errorf("panel: got %d %q, %v, want 200 and a greeting", answer.StatusCode, answer.Body, err)
			}
			answer, err = site.Do(t.Context(), http.MethodGet, "/panel", nil, nil)
			if err != nil || answer.StatusCode != http.StatusUnauthorized || len(answer.Body) > 0 {
				t.Errorf("panel without a token: got %d %q, %v, want 401", answer.StatusCode, answer.Body, err)
			}
			long := site.Token(http.MethodGet, "/panel")
			long.Claims["long"] = strings.Repeat("-", 5500)
			answer, err = site.Do(t.Context(), http.MethodGet, "/panel", long, nil)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("panel with a token of nearly 8 KiB: got status %d, %v, want 200", answer.StatusCode, err)
			}
		})
	}
}

// onChi is what the README says of chi: net/http's adapter serves it.
func onChi(app *core.App) http.Handler {
	router := chi.NewRouter()
	httpconnect.Mount(router, app)
	router.With(httpconnect.Authenticate(app)).Get("/panel", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", httpconnect.Principal(r).AccountID)
	})
	return router
}

// siteOf serves an app and returns a site that is to install it.
func siteOf(t *testing.T, serve func(*core.App, net.Listener) error) *fakehost.Site {
	t.Helper()
	keys := new(fakehost.Keys)
	keyHost := httptest.NewServer(keys)
	t.Cleanup(keyHost.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	baseURL := "http://" + listener.Addr().String()
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: baseURL, Store: memstore.New(),
		KeyHosts: []string{keyHost.URL}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serve(app, listener) // until the listener is closed
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	site, err := fakehost.New(fakehost.Config{
		App: fakehost.Descriptor{Key: "com.example.app", BaseURL: baseURL}, Keys: keys, AccountID: "Ada",
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}
