package fiberconnect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/logger"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/fiberconnect"
)

// An app with a page and with a route that the page calls. A site, which is played, installs it and opens the page.
func Example() {
	keys := new(fakehost.Keys)
	keyHost := httptest.NewServer(keys)
	defer keyHost.Close()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	baseURL := "http://" + listener.Addr().String()

	app, err := core.New(core.Config{
		AppKey:   "com.example.app",
		BaseURL:  baseURL,
		Store:    memstore.New(), // gormstore.New for a real app
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := fiber.New(fiber.Config{DisableStartupMessage: true})
	fiberconnect.Mount(router, app)
	router.Get("/panel", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
		return c.SendString("Hello, " + fiberconnect.Principal(c).AccountID)
	})
	router.Get("/api/me", fiberconnect.Authenticate(app, core.ContextToken), func(c *fiber.Ctx) error {
		return c.SendString(fiberconnect.Principal(c).AccountID)
	})
	go func() { _ = router.Listener(listener) }()
	defer func() { _ = router.Shutdown() }()

	ctx := context.Background()
	site, err := fakehost.New(fakehost.Config{
		App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: baseURL},
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
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: "https://app.example.com",
		Store: memstore.New(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	router := fiber.New()
	router.Use(logger.New(logger.Config{
		Format: "${status} ${target} ${reason}\n",
		Output: os.Stdout,
		CustomTags: map[string]logger.LogFunc{
			"target": fiberconnect.LogTarget,
			"reason": func(output logger.Buffer, _ *fiber.Ctx, data *logger.Data, _ string) (int, error) {
				return output.WriteString(string(core.Reason(data.ChainErr)))
			},
		},
	}))
	router.Get("/panel", fiberconnect.Authenticate(app))

	request := httptest.NewRequest(http.MethodGet, "/panel?issue=HB-1&jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2ln", nil)
	response, err := router.Test(request)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = response.Body.Close()

	// Output:
	// 401 /panel?issue=HB-1&jwt=[redacted] claims
}
