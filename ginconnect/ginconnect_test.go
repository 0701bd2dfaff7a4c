package ginconnect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/ginconnect"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	os.Exit(m.Run())
}

const appKey = "com.example.gin"

// atlassian signs the installs of all sites here. To make a key takes a while.
var atlassian fakehost.Keys

// serve serves an app at the path, with the routes that are given, and returns a site that is to install it.
func serve(t *testing.T, path string, routes func(*gin.Engine, *core.App)) *fakehost.Site {
	t.Helper()
	keyHost := httptest.NewServer(&atlassian)
	t.Cleanup(keyHost.Close)
	router := gin.New()
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
func installed(t *testing.T, routes func(*gin.Engine, *core.App)) *fakehost.Site {
	t.Helper()
	site := serve(t, "", func(router *gin.Engine, app *core.App) {
		routes(router, app)
		ginconnect.Mount(router, app)
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

func ok(c *gin.Context) { c.Status(http.StatusOK) }

func TestMountServesDescriptorAndCallbacks(t *testing.T) {
	t.Parallel()
	panel := "/panel"
	for name, test := range map[string]struct {
		path   string
		routes func(*gin.Engine, *core.App)
	}{
		"on an engine": {"", func(router *gin.Engine, app *core.App) {
			ginconnect.Mount(router, app)
			router.GET(panel, ginconnect.Authenticate(app), ok)
		}},
		"on a group at the path of the base URL": {"/connect/v1", func(router *gin.Engine, app *core.App) {
			group := router.Group("/connect/v1")
			ginconnect.Mount(group, app)
			group.GET(panel, ginconnect.Authenticate(app), ok)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := serve(t, test.path, test.routes)

			answer, err := site.Do(t.Context(), http.MethodGet, "/atlassian-connect.json", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			var descriptor struct{ Key string }
			if err := json.Unmarshal(answer.Body, &descriptor); err != nil || descriptor.Key != appKey {
				t.Errorf("descriptor: got key %q, %v, want %q", descriptor.Key, err, appKey)
			}
			if got := answer.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("descriptor: got Content-Type %q, want application/json", got)
			}

			for _, step := range []struct {
				name string
				call func(context.Context) (fakehost.Answer, error)
				page int // status of a page afterwards
			}{
				{"install", site.Install, http.StatusOK},
				{"enable", site.Enable, http.StatusOK},
				{"rotate", site.Rotate, http.StatusOK},
				{"disable", site.Disable, http.StatusOK},
				{"uninstall", site.Uninstall, http.StatusUnauthorized},
			} {
				answer, err := step.call(t.Context())
				if err != nil || answer.StatusCode != http.StatusNoContent || len(answer.Body) > 0 {
					t.Errorf("%s: got %d %q, %v, want 204", step.name, answer.StatusCode, answer.Body, err)
				}
				get(t, site, panel, step.page)
			}
		})
	}
}

func TestAuthenticateHandsOnThePrincipal(t *testing.T) {
	t.Parallel()
	var fromGin, fromContext *core.Principal
	site := installed(t, func(router *gin.Engine, app *core.App) {
		router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
			fromGin = ginconnect.Principal(c)
			fromContext, _ = core.PrincipalFrom(c.Request.Context())
		})
	})
	answer, err := site.Do(t.Context(), http.MethodGet, "/panel", site.Token(http.MethodGet, "/panel").As("an-account"), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %d, %v, want 200", answer.StatusCode, err)
	}
	if fromGin == nil || fromGin.ClientKey != site.ClientKey() || fromGin.AccountID != "an-account" {
		t.Errorf("got principal %+v, want one of client key %s and account an-account", fromGin, site.ClientKey())
	}
	if fromContext != fromGin {
		t.Errorf("in the request's context: got %p, want the same principal %p", fromContext, fromGin)
	}
}

func TestPrincipalIsNilWithoutAuthenticate(t *testing.T) {
	t.Parallel()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	if got := ginconnect.Principal(c); got != nil {
		t.Errorf("got %+v, want nil", got)
	}
}

func TestARouteTakesTheKindsOfTokenThatItAccepts(t *testing.T) {
	t.Parallel()
	site := installed(t, func(router *gin.Engine, app *core.App) {
		router.GET("/page", ginconnect.Authenticate(app), ok)
		router.GET("/api", ginconnect.Authenticate(app, core.ContextToken), ok)
		router.GET("/both", ginconnect.Authenticate(app, core.ContextToken, core.URLBound), ok)
	})
	for _, test := range []struct {
		target         string
		bound, context int
	}{
		{"/page", http.StatusOK, http.StatusUnauthorized},
		{"/api", http.StatusUnauthorized, http.StatusOK},
		{"/both", http.StatusOK, http.StatusOK},
	} {
		get(t, site, test.target, test.bound)
		answer, err := site.Do(t.Context(), http.MethodGet, test.target, site.ContextToken(), nil)
		if err != nil || answer.StatusCode != test.context {
			t.Errorf("GET %s with a context token: got status %d, %v, want %d", test.target, answer.StatusCode, err, test.context)
		}
	}
}

func TestTheOperatorLearnsWhyAndTheCallerDoesNot(t *testing.T) {
	t.Parallel()
	var errs []*gin.Error // of the last request
	site := installed(t, func(router *gin.Engine, app *core.App) {
		router.Use(func(c *gin.Context) {
			c.Next()
			errs = c.Errors
		})
		router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
			t.Error("the handler of a refused request was called")
		})
	})
	unsigned := site.Callback(fakehost.Installed)
	unsigned.Token = nil
	for name, test := range map[string]struct {
		call   func(context.Context) (fakehost.Answer, error)
		reason core.ReasonCode
	}{
		"a request": {func(ctx context.Context) (fakehost.Answer, error) {
			return site.Do(ctx, http.MethodGet, "/panel", site.Token(http.MethodGet, "/another"), nil)
		}, core.ReasonQueryHash},
		"a callback": {unsigned.Post, core.ReasonTokenMissing},
	} {
		answer, err := test.call(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusUnauthorized || len(answer.Body) > 0 {
			t.Errorf("%s: got %d %q, want 401 and no body", name, answer.StatusCode, answer.Body)
		}
		if len(errs) != 1 || core.Reason(errs[0].Err) != test.reason {
			t.Fatalf("%s: got c.Errors %v, want one for reason %s", name, errs, test.reason)
		}
		id := core.CorrelationID(errs[0].Err)
		if got := answer.Header.Get("X-Correlation-Id"); id == "" || got != id {
			t.Errorf("%s: got correlation id %q, want that of the error, %q", name, got, id)
		}
		for field, values := range answer.Header {
			if strings.Contains(strings.Join(values, " "), string(test.reason)) {
				t.Errorf("%s: the caller reads the reason in %s: %q", name, field, values)
			}
		}
	}
}

func TestANestedAuthenticateUsesThePrincipalAgain(t *testing.T) {
	t.Parallel()
	var outer, inner *core.Principal
	site := installed(t, func(router *gin.Engine, app *core.App) {
		group := router.Group("/pages", ginconnect.Authenticate(app), func(c *gin.Context) { outer = ginconnect.Principal(c) })
		group.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) { inner = ginconnect.Principal(c) })
		group.GET("/api", ginconnect.Authenticate(app, core.ContextToken), ok)
	})
	get(t, site, "/pages/panel", http.StatusOK)
	if outer == nil || inner != outer {
		t.Errorf("got principal %p within, want that of the group, %p", inner, outer)
	}
	// One of another kind is no use to it.
	get(t, site, "/pages/api", http.StatusUnauthorized)
}

func TestValuesOfEarlierMiddlewareStay(t *testing.T) {
	t.Parallel()
	type key struct{}
	var inGin, inContext any
	site := installed(t, func(router *gin.Engine, app *core.App) {
		before := func(c *gin.Context) {
			c.Set("value", "in gin")
			c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key{}, "in context"))
		}
		router.GET("/panel", before, ginconnect.Authenticate(app), func(c *gin.Context) {
			inGin, _ = c.Get("value")
			inContext = c.Request.Context().Value(key{})
		})
	})
	get(t, site, "/panel", http.StatusOK)
	if inGin != "in gin" || inContext != "in context" {
		t.Errorf("got %v and %v, want in gin and in context", inGin, inContext)
	}
}

func TestLogFormatterHidesTokens(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	site := installed(t, func(router *gin.Engine, app *core.App) {
		router.Use(gin.LoggerWithConfig(gin.LoggerConfig{Formatter: ginconnect.LogFormatter, Output: &log}))
		router.GET("/panel", ginconnect.Authenticate(app), ok)
	})
	log.Reset()
	pageURL, err := site.PageURL("/panel?issue=HB-1")
	if err != nil {
		t.Fatal(err)
	}
	token := pageURL[strings.Index(pageURL, "jwt=")+len("jwt="):]
	for _, test := range []struct {
		url  string
		want []string
	}{
		{pageURL, []string{" 200 ", `GET     "/panel?issue=HB-1&jwt=[redacted]"`}},
		{pageURL + "&%6Awt=" + token, []string{" 401 ", `"/panel?issue=HB-1&jwt=[redacted]&%6Awt=[redacted]"`, "token_ambiguous"}},
	} {
		response, err := http.Get(test.url)
		if err != nil {
			t.Fatal("the request failed") // its error quotes the URL
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		for _, want := range test.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("got line %q, want one with %q", &log, want)
			}
		}
		if strings.Contains(log.String(), token) {
			t.Errorf("the token is in the log: %s", &log)
		}
		log.Reset()
	}
}
