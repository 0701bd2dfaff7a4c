// Command fiber is a small but whole Connect app on Fiber: a page in Jira, a route that the page calls, and what keeps
// the bond with every site that installs it. From the root of the repository:
//
//	go run ./examples/fiber
//
// Package exampleapp, which opens the database and serves, describes its environment.
package main

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/logger"
	"github.com/gofiber/fiber/v2/middleware/recover"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/examples/internal/exampleapp"
	"github.com/hostbond/hostbond/fiberconnect"
)

// methods are those of IANA's registry. Fiber answers 400 to one that it has not been told of.
var methods = slices.Concat(fiber.DefaultMethods, strings.Fields("ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL "+
	"LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE ORDERPATCH PROPFIND PROPPATCH REBIND "+
	"REPORT SEARCH UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE UPDATEREDIRECTREF VERSION-CONTROL"))

func main() { exampleapp.Main(build) }

func build(app *core.App, paths []string, adminToken string) exampleapp.Server {
	router := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ErrorHandler:          refuse,
		RequestMethods:        methods,
		// A token is good for one URL, so /PANEL and /panel/ are not /panel.
		CaseSensitive:  true,
		StrictRouting:  true,
		ReadBufferSize: 64 << 10, // is the limit of a header; a token alone may have 8 KiB
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   15 * time.Second,
		IdleTimeout:    time.Minute,
	})
	// Fiber's own ${url} prints the tokens of pages.
	router.Use(logger.New(logger.Config{
		Format:     "${time} ${status} ${method} ${target}\n",
		CustomTags: map[string]logger.LogFunc{"target": fiberconnect.LogTarget},
	}))
	router.Use(recover.New(recover.Config{EnableStackTrace: true})) // fasthttp does not recover from a panic
	for _, path := range paths {
		mount(router.Group(path), app, adminToken)
	}
	return exampleapp.Server{Serve: router.Listener, Shutdown: router.ShutdownWithContext}
}

func mount(router fiber.Router, app *core.App, adminToken string) {
	// The descriptor, installed, uninstalled, enabled and disabled.
	fiberconnect.Mount(router, app)
	// A page, which the site opens with a token for its very URL.
	router.Get("/panel", fiberconnect.Authenticate(app), panel)
	// A route that the app's own pages call, with a token from AP.context.getToken().
	router.Get("/api/me", fiberconnect.Authenticate(app, core.ContextToken), me)
	// Any method that Fiber has been told of.
	router.All("/echo/*", fiberconnect.Authenticate(app), call)

	router.Get("/healthz", func(c *fiber.Ctx) error {
		c.Status(exampleapp.Health(c.UserContext(), app))
		return nil
	})
	// What an operator may see and do.
	if adminToken != "" {
		operator := admin.Handler(app, admin.BearerToken(adminToken))
		router.All("/admin/*", adaptor.HTTPHandler(operator))
	}
}

func panel(c *fiber.Ctx) error {
	c.Type("html", "utf-8")
	return c.Send(exampleapp.Panel(fiberconnect.Principal(c), c.Set))
}

func me(c *fiber.Ctx) error {
	return c.JSON(exampleapp.Me(fiberconnect.Principal(c)))
}

func call(c *fiber.Ctx) error {
	return c.JSON(exampleapp.Echo(fiberconnect.Principal(c), c.Method(), c.OriginalURL()))
}

// refuse answers with a status alone. Fiber's own handler shows the text of an error, as that of a panic, to the caller.
func refuse(c *fiber.Ctx, err error) error {
	c.Status(http.StatusInternalServerError)
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		c.Status(e.Code)
	}
	return nil
}
