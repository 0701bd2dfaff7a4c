package fiberconnect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/logger"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/fiberconnect"
)

const appKey = "com.example.fiber"

// atlassian signs the installs of all sites here. To make a key takes a while.
var atlassian fakehost.Keys

// serve serves an app at the path, with the routes that are given, and returns a site that is to install it.
func serve(t *testing.T, path string, config fiber.Config, routes func(*fiber.App, *core.App)) *fakehost.Site {
	t.Helper()
	keyHost := httptest.NewServer(&atlassian)
	t.Cleanup(keyHost.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	baseURL := "http://" + listener.Addr().String() + path
	app, err := core.New(core.Config{
		AppKey:   appKey,
		BaseURL:  baseURL,
		Store:    memstore.New(),
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	config.DisableStartupMessage = true
	router := fiber.New(config)
	routes(router, app)
	var server sync.WaitGroup
	server.Go(func() {
		if err := router.Listener(listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		server.Wait()
		if err := app.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	site, err := fakehost.New(fakehost.Config{
		App:  fakehost.Descriptor{Key: appKey, BaseURL: baseURL},
		Keys: &atlassian,
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

// installed is serve for a site that has installed the app, which is mounted beside the routes.
func installed(t *testing.T, config fiber.Config, routes func(*fiber.App, *core.App)) *fakehost.Site {
	t.Helper()
	site := serve(t, "", config, func(router *fiber.App, app *core.App) {
		routes(router, app)
		fiberconnect.Mount(router, app)
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

func ok(c *fiber.Ctx) error { return c.SendStatus(http.StatusOK) }

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
	var last error
	site := installed(t, fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		last = err
		return fiber.DefaultErrorHandler(c, err)
	}}, func(router *fiber.App, app *core.App) {
		router.Get("/panel", fiberconnect.Authenticate(app), func(*fiber.Ctx) error {
			t.Error("the handler of a refused request was called")
			return nil
		})
	})
	for reason, call := range refused(site) {
		answer, err := call(t.Context())
		checkRefusal(t, reason, answer, err)
		refusal, is := errors.AsType[*fiberconnect.Refusal](last)
		if !is || refusal.Error() != "" || core.Reason(refusal) != reason {
			t.Fatalf("got error %T %q, want a *fiberconnect.Refusal without a text for the reason %s", last, last, reason)
		}
		if status, is := errors.AsType[*fiber.Error](last); !is || status.Code != http.StatusUnauthorized || status.Message != "" {
			t.Errorf("%s: got %+v in the error, want a *fiber.Error of status 401 without a message", reason, status)
		}
		if id := answer.Header.Get("X-Correlation-Id"); id == "" || id != core.CorrelationID(last) {
			t.Errorf("%s: got correlation id %q, want that of the error, %q", reason, id, core.CorrelationID(last))
		}
	}
}

func TestTheDefaultErrorHandlerShowsNothing(t *testing.T) {
	t.Parallel()
	site := installed(t, fiber.Config{}, func(router *fiber.App, app *core.App) {
		router.Get("/panel", fiberconnect.Authenticate(app), ok)
	})
	for reason, call := range refused(site) {
		answer, err := call(t.Context())
		checkRefusal(t, reason, answer, err)
	}
}

func TestMountAndAuthenticateBelowThePathOfTheBaseURL(t *testing.T) {
	t.Parallel()
	routes := func(router fiber.Router, app *core.App) {
		fiberconnect.Mount(router, app)
		router.Get("/panel", fiberconnect.Authenticate(app), ok)
		router.Group("/pages", fiberconnect.Authenticate(app)).Get("/:id", ok)
	}
	for name, mount := range map[string]func(*fiber.App, *core.App){
		"on a group": func(router *fiber.App, app *core.App) {
			routes(router.Group("/connect").Group("/v1"), app)
		},
		"on a mounted app": func(router *fiber.App, app *core.App) {
			mounted := fiber.New()
			routes(mounted, app)
			router.Mount("/connect/v1", mounted)
		},
		"on an app that a group mounts": func(router *fiber.App, app *core.App) {
			mounted := fiber.New()
			routes(mounted, app)
			router.Group("/connect").Mount("/v1", mounted)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := serve(t, "/connect/v1", fiber.Config{}, mount)
			if answer, err := site.Install(t.Context()); err != nil {
				t.Fatalf("installed: got status %d, %v", answer.StatusCode, err)
			}
			get(t, site, "/panel", http.StatusOK)
			get(t, site, "/pages/1?x=y", http.StatusOK)
			answer, err := site.Do(t.Context(), http.MethodGet, "/pages/1", site.Token(http.MethodGet, "/pages/2"), nil)
			checkRefusal(t, core.ReasonQueryHash, answer, err)
		})
	}
}

func TestTheUserContextHasThePrincipal(t *testing.T) {
	t.Parallel()
	type key struct{}
	var fromFiber, fromContext *core.Principal
	var inLocals, inContext any
	site := installed(t, fiber.Config{}, func(router *fiber.App, app *core.App) {
		router.Use(func(c *fiber.Ctx) error {
			c.Locals("value", "in locals")
			c.SetUserContext(context.WithValue(c.UserContext(), key{}, "in context"))
			return c.Next()
		})
		router.Get("/panel", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
			fromFiber = fiberconnect.Principal(c)
			fromContext, _ = core.PrincipalFrom(c.UserContext())
			inLocals, inContext = c.Locals("value"), c.UserContext().Value(key{})
			return nil
		})
		router.Get("/open", func(c *fiber.Ctx) error {
			fromFiber = fiberconnect.Principal(c)
			return nil
		})
	})
	get(t, site, "/panel", http.StatusOK)
	if fromFiber == nil || fromFiber.ClientKey != site.ClientKey() || fromContext != fromFiber {
		t.Errorf("got principal %+v, in the user context %p, want one of client key %s in both",
			fromFiber, fromContext, site.ClientKey())
	}
	if inLocals != "in locals" || inContext != "in context" {
		t.Errorf("got the values %v and %v of earlier middleware, want in locals and in context", inLocals, inContext)
	}
	get(t, site, "/open", http.StatusOK)
	if fromFiber != nil {
		t.Errorf("without Authenticate: got principal %+v, want nil", fromFiber)
	}
}

// Fiber re-uses the memory of a request for the next one, unless it is told to be Immutable.
func TestNothingThatIsKeptOfARequestChangesWithTheNext(t *testing.T) {
	t.Parallel()
	var principals []*core.Principal
	var errs []error
	site := installed(t, fiber.Config{ErrorHandler: func(c *fiber.Ctx, err error) error {
		errs = append(errs, err)
		return fiber.DefaultErrorHandler(c, err)
	}}, func(router *fiber.App, app *core.App) {
		router.Get("/panel", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
			principals = append(principals, fiberconnect.Principal(c))
			return nil
		})
	})
	accounts := []string{"ada", "bob", "cyd"}
	var texts []string // of the errors, when they were new
	for _, account := range accounts {
		token := site.Token(http.MethodGet, "/panel?user="+account).As(account)
		for target, want := range map[string]int{
			"/panel?user=" + account:         http.StatusOK,
			"/panel?user=" + account + "&x=": http.StatusUnauthorized,
		} {
			answer, err := site.Do(t.Context(), http.MethodGet, target, token, nil)
			if err != nil || answer.StatusCode != want {
				t.Fatalf("%s: got status %d, %v, want %d", target, answer.StatusCode, err, want)
			}
		}
		texts = append(texts, explain(t, errs[len(errs)-1]))
	}
	for n, account := range accounts {
		if got := principals[n]; got.AccountID != account || got.ClientKey != site.ClientKey() {
			t.Errorf("got principal %s of %s, want %s of %s", got.AccountID, got.ClientKey, account, site.ClientKey())
		}
		if got := explain(t, errs[n]); got != texts[n] || !strings.Contains(got, "user="+account) {
			t.Errorf("got error %q, want it to stay %q", got, texts[n])
		}
	}
}

// explain returns all that an operator can read of a refusal.
func explain(t *testing.T, err error) string {
	t.Helper()
	mismatch, is := errors.AsType[*core.QueryHashMismatch](err)
	if !is {
		t.Fatalf("got error %v, want a mismatch of the query hash", err)
	}
	return core.CorrelationID(err) + " " + mismatch.Error()
}

func TestLogTargetIsTheTargetAsSentWithoutItsToken(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	site := installed(t, fiber.Config{}, func(router *fiber.App, app *core.App) {
		router.Use(logger.New(logger.Config{
			Format:     "${status} ${target} ${error}\n",
			Output:     &log,
			CustomTags: map[string]logger.LogFunc{"target": fiberconnect.LogTarget},
		}))
		router.Get("/panel/*", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
			c.Query("issue") // makes Fiber take the query apart
			return nil
		})
	})
	pageURL, err := site.PageURL("/panel/a%2Fb/../c;d?issue=HB%2D1&e[]")
	if err != nil {
		t.Fatal(err)
	}
	token := pageURL[strings.Index(pageURL, "jwt=")+len("jwt="):]
	for url, want := range map[string]string{
		pageURL:                     "200 /panel/a%2Fb/../c;d?issue=HB%2D1&e[]&jwt=[redacted] -\n",
		pageURL + "&%6Awt=" + token: "401 /panel/a%2Fb/../c;d?issue=HB%2D1&e[]&jwt=[redacted]&%6Awt=[redacted] \n",
		pageURL + "&jwt=" + token:   "401 /panel/a%2Fb/../c;d?issue=HB%2D1&e[]&jwt=[redacted]&jwt=[redacted] \n",
		pageURL + "&JWT=a":          "401 /panel/a%2Fb/../c;d?issue=HB%2D1&e[]&jwt=[redacted]&JWT=a \n",
	} {
		log.Reset()
		response, err := http.Get(url)
		if err != nil {
			t.Fatal("the request failed") // its error quotes the URL
		}
		_ = response.Body.Close()
		if got := log.String(); got != want {
			t.Errorf("got line %q, want %q", strings.ReplaceAll(got, token, "(the token)"), want)
		}
	}
}

func TestACompressedBodyReachesTheCoreAsSent(t *testing.T) {
	t.Parallel()
	site := serve(t, "", fiber.Config{}, func(router *fiber.App, app *core.App) { fiberconnect.Mount(router, app) })
	install := func() *fakehost.Callback {
		callback := site.Callback(fakehost.Installed)
		callback.Header.Set("Content-Encoding", "gzip")
		return callback
	}
	// What does not say so is not read as JSON, so nothing is ever inflated.
	compressed := install()
	payload, err := json.Marshal(compressed.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	writer := gzip.NewWriter(&body)
	_, _ = writer.Write(payload) // to memory
	_ = writer.Close()
	compressed.Body = body.Bytes()
	if answer, err := compressed.Post(t.Context()); err != nil || answer.StatusCode != http.StatusBadRequest {
		t.Errorf("with a gzip body: got status %d, %v, want 400", answer.StatusCode, err)
	}
	if answer, err := install().Send(t.Context()); err != nil {
		t.Errorf("with a body that only claims to be gzip: got status %d, %v, want 204", answer.StatusCode, err)
	}
}

func TestACallbackMayBeStreamed(t *testing.T) {
	t.Parallel()
	site := serve(t, "", fiber.Config{StreamRequestBody: true}, func(router *fiber.App, app *core.App) {
		fiberconnect.Mount(router, app)
	})
	if answer, err := site.Install(t.Context()); err != nil {
		t.Errorf("installed: got status %d, %v, want 204", answer.StatusCode, err)
	}
	large := site.Callback(fakehost.Installed)
	large.Body = make([]byte, 64<<10+1)
	if answer, err := large.Post(t.Context()); err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("with a body of more than 64 KiB: got status %d, %v, want 413", answer.StatusCode, err)
	}
}

// Of a streamed body fasthttp leaves on the connection what nobody has read, and takes it for the next request.
func TestTheBodyOfARefusedRequestIsNeverTakenForARequest(t *testing.T) {
	t.Parallel()
	for _, streamed := range []bool{true, false} {
		site := installed(t, fiber.Config{StreamRequestBody: streamed}, func(router *fiber.App, app *core.App) {
			router.Post("/panel", fiberconnect.Authenticate(app), ok)
		})
		pageURL, err := site.PageURL("/panel") // with a token for GET
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.Post(pageURL, "text/plain", strings.NewReader("GET /panel HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if err != nil {
			t.Fatal("the request failed") // its error quotes the URL
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized || response.Close != streamed {
			t.Errorf("streamed: %t: got status %d and the end of the connection: %t, want 401 and %t",
				streamed, response.StatusCode, response.Close, streamed)
		}
	}
}
