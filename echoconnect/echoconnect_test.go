package echoconnect_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/echoconnect"
)

const appKey = "com.example.echo"

// atlassian signs the installs of all sites here. To make a key takes a while.
var atlassian fakehost.Keys

// serve serves an app at the path, with the routes that are given, and returns a site that is to install it.
func serve(t *testing.T, path string, routes func(*echo.Echo, *core.App)) *fakehost.Site {
	t.Helper()
	keyHost := httptest.NewServer(&atlassian)
	t.Cleanup(keyHost.Close)
	router := echo.New()
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	app, err := core.New(core.Config{
		AppKey:   appKey,
		BaseURL:  server.URL + path,
		Store:    memstore.New(),
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	routes(router, app)
	site, err := fakehost.New(fakehost.Config{
		App:  fakehost.Descriptor{Key: appKey, BaseURL: server.URL + path},
		Keys: &atlassian,
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// installed is serve for a site that has installed the app, which is mounted beside the routes.
func installed(t *testing.T, routes func(*echo.Echo, *core.App)) *fakehost.Site {
	t.Helper()
	site := serve(t, "", func(router *echo.Echo, app *core.App) {
		routes(router, app)
		echoconnect.Mount(router, app)
	})
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	return site
}

// get loads a page of the app and checks the status.
func get(t *testing.T, site *fakehost.Site, target string, want int) fakehost.Answer {
	t.Helper()
	answer, err := site.Get(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != want {
		t.Errorf("GET %s: got status %d, want %d", target, answer.StatusCode, want)
	}
	return answer
}

func ok(c echo.Context) error { return c.NoContent(http.StatusOK) }

// refused are calls that are refused, by the reason.
func refused(site *fakehost.Site) map[core.ReasonCode]func(context.Context) (fakehost.Answer, error) {
	unsigned := site.Callback(fakehost.Installed)
	unsigned.Token = nil
	return map[core.ReasonCode]func(context.Context) (fakehost.Answer, error){
		core.ReasonQueryHash: func(ctx context.Context) (fakehost.Answer, error) {
			return site.Do(ctx, http.MethodGet, "/panel", site.Token(http.MethodGet, "/another"), nil)
		},
		core.ReasonTokenMissing: unsigned.Post,
	}
}

// checkRefusal checks that the caller of a refused request learns no more than its status.
func checkRefusal(t *testing.T, reason core.ReasonCode, answer fakehost.Answer, err error) {
	t.Helper()
	if err != nil || answer.StatusCode != http.StatusUnauthorized || len(answer.Body) > 0 {
		t.Errorf("%s: got %d %q, %v, want 401 and no body", reason, answer.StatusCode, answer.Body, err)
	}
	for field, values := range answer.Header {
		if strings.Contains(strings.Join(values, " "), string(reason)) {
			t.Errorf("%s: the caller reads the reason in %s: %q", reason, field, values)
		}
	}
}

func TestTheErrorHandlerLearnsWhyAndTheCallerDoesNot(t *testing.T) {
	t.Parallel()
	type handled struct {
		err       error
		committed bool
	}
	var last handled
	site := installed(t, func(router *echo.Echo, app *core.App) {
		router.HTTPErrorHandler = func(err error, c echo.Context) { last = handled{err, c.Response().Committed} }
		router.GET("/panel", func(echo.Context) error {
			t.Error("the handler of a refused request was called")
			return nil
		}, echoconnect.Authenticate(app))
	})
	for reason, call := range refused(site) {
		answer, err := call(t.Context())
		checkRefusal(t, reason, answer, err)
		httpError, is := errors.AsType[*echo.HTTPError](last.err)
		if !is || httpError.Code != http.StatusUnauthorized || core.Reason(httpError.Internal) != reason {
			t.Fatalf("got error %v, want an *echo.HTTPError of status 401 with the internal reason %s", last.err, reason)
		}
		if core.Reason(last.err) != reason {
			t.Errorf("got reason %q of the error itself, want %q", core.Reason(last.err), reason)
		}
		if id := answer.Header.Get("X-Correlation-Id"); id == "" || id != core.CorrelationID(last.err) {
			t.Errorf("%s: got correlation id %q, want that of the error, %q", reason, id, core.CorrelationID(last.err))
		}
		if !last.committed {
			t.Errorf("%s: the response was not committed when the handler was called", reason)
		}
	}
}

func TestNoErrorHandlerAddsToARefusal(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*echo.Echo){
		"the default one":          func(*echo.Echo) {},
		"the default one in debug": func(router *echo.Echo) { router.Debug = true },
		"one that always writes": func(router *echo.Echo) {
			router.Logger.SetOutput(new(strings.Builder)) // to which Echo complains
			router.HTTPErrorHandler = func(err error, c echo.Context) { _ = c.String(http.StatusTeapot, err.Error()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := installed(t, func(router *echo.Echo, app *core.App) {
				configure(router)
				router.GET("/panel", ok, echoconnect.Authenticate(app))
			})
			// Not a callback: after a body that was written in vain net/http hangs up, at times before it has read a body.
			answer, err := refused(site)[core.ReasonQueryHash](t.Context())
			checkRefusal(t, core.ReasonQueryHash, answer, err)
		})
	}
}

func TestMountAndAuthenticateOnAGroup(t *testing.T) {
	t.Parallel()
	site := serve(t, "/connect/v1", func(router *echo.Echo, app *core.App) {
		group := router.Group("/connect").Group("/v1")
		echoconnect.Mount(group, app)
		group.GET("/panel", ok, echoconnect.Authenticate(app))
		group.Group("/pages", echoconnect.Authenticate(app)).GET("/first", ok)
	})
	if answer, err := site.Install(t.Context()); err != nil {
		t.Fatalf("installed: got status %d, %v", answer.StatusCode, err)
	}
	get(t, site, "/panel", http.StatusOK)
	get(t, site, "/pages/first?x=y", http.StatusOK)
	answer, err := site.Do(t.Context(), http.MethodGet, "/pages/first", site.Token(http.MethodGet, "/pages"), nil)
	checkRefusal(t, core.ReasonQueryHash, answer, err)
	// As Echo has it, the middleware of a group runs for what the group has no route for.
	answer, err = site.Do(t.Context(), http.MethodGet, "/pages/second", nil, nil)
	checkRefusal(t, core.ReasonTokenMissing, answer, err)
	get(t, site, "/pages/second", http.StatusNotFound)
}

func TestThePrincipalIsThereForWhatRunsAfterAuthenticate(t *testing.T) {
	t.Parallel()
	type key struct{}
	var order []string
	see := func(name string) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				if echoconnect.Principal(c) != nil {
					order = append(order, name+" with principal")
				} else {
					order = append(order, name)
				}
				return next(c)
			}
		}
	}
	keep := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("value", "in echo")
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), key{}, "in context")))
			return next(c)
		}
	}
	var fromEcho, fromContext *core.Principal
	var inEcho, inContext any
	site := installed(t, func(router *echo.Echo, app *core.App) {
		router.Use(see("use"), keep)
		group := router.Group("/pages", see("group"), echoconnect.Authenticate(app), see("rest of the group"))
		group.GET("/panel", func(c echo.Context) error {
			fromEcho = echoconnect.Principal(c)
			fromContext, _ = core.PrincipalFrom(c.Request().Context())
			inEcho, inContext = c.Get("value"), c.Request().Context().Value(key{})
			return nil
		}, see("route"))
	})
	order = nil
	get(t, site, "/pages/panel", http.StatusOK)
	want := []string{"use", "group", "rest of the group with principal", "route with principal"}
	if !slices.Equal(order, want) {
		t.Errorf("got %q, want %q", order, want)
	}
	if fromEcho == nil || fromEcho.ClientKey != site.ClientKey() || fromContext != fromEcho {
		t.Errorf("got principal %+v, in the request's context %p, want one of client key %s in both",
			fromEcho, fromContext, site.ClientKey())
	}
	if inEcho != "in echo" || inContext != "in context" {
		t.Errorf("got the values %v and %v of earlier middleware, want in echo and in context", inEcho, inContext)
	}

	order = nil
	answer, err := site.Do(t.Context(), http.MethodGet, "/pages/panel", nil, nil)
	checkRefusal(t, core.ReasonTokenMissing, answer, err)
	if want := want[:2]; !slices.Equal(order, want) {
		t.Errorf("after a refusal: got %q, want %q", order, want)
	}
}

func TestPrincipalIsNilWithoutAuthenticate(t *testing.T) {
	t.Parallel()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder())
	if got := echoconnect.Principal(c); got != nil {
		t.Errorf("got %+v, want nil", got)
	}
}
