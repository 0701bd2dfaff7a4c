package echoconnect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/echoconnect"
)

// An app with a page and with a route that the page calls. A site, which is played, installs it and opens the page.
func Example() {
	keys := new(fakehost.Keys)
	keyHost := httptest.NewServer(keys)
	defer keyHost.Close()

	router := echo.New()
	server := httptest.NewServer(router)
	defer server.Close()

	app, err := core.New(core.Config{
		AppKey:   "com.example.app",
		BaseURL:  server.URL,
		Store:    memstore.New(), // gormstore.New for a real app
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	echoconnect.Mount(router, app)
	router.GET("/panel", func(c echo.Context) error {
		return c.String(http.StatusOK, "Hello, "+echoconnect.Principal(c).AccountID)
	}, echoconnect.Authenticate(app))
	router.GET("/api/me", func(c echo.Context) error {
		return c.String(http.StatusOK, echoconnect.Principal(c).AccountID)
	}, echoconnect.Authenticate(app, core.ContextToken))

	ctx := context.Background()
	site, err := fakehost.New(fakehost.Config{
		App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: server.URL},
		Keys:      keys,
		AccountID: "Ada",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(answer fakehost.Answer, err error) {
		fmt.Printf("%d %s %v\n", answer.StatusCode, answer.Body, err)
	}
	show(site.Install(ctx))
	show(site.Get(ctx, "/panel"))
	show(site.Do(ctx, http.MethodGet, "/api/me", site.ContextToken(), nil))
	show(site.Do(ctx, http.MethodGet, "/panel", nil, nil))

	// Output:
	// 204  <nil>
	// 200 Hello, Ada <nil>
	// 200 Ada <nil>
	// 401  <nil>
}

// A log that shows which page was opened, without the token that opens it, and why a request was refused.
func Example_log() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: "https://app.example.com",
		Store: memstore.New(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := echo.New()
	router.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogURI: true, LogError: true, HandleError: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
			logger.Info("request", "status", v.Status, "target", core.HideToken(v.URI), "reason", core.Reason(v.Error))
			return nil
		},
	}))
	router.GET("/panel", func(echo.Context) error { return nil }, echoconnect.Authenticate(app))

	request := httptest.NewRequest(http.MethodGet, "/panel?issue=HB-1&jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2ln", nil)
	router.ServeHTTP(httptest.NewRecorder(), request)

	// Output:
	// level=INFO msg=request status=401 target="/panel?issue=HB-1&jwt=[redacted]" reason=claims
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
