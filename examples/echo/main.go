// Command echo is a small but whole Connect app on Echo: a page in Jira, a route that the page calls, and what keeps the
// bond with every site that installs it. From the root of the repository:
//
//	go run ./examples/echo
//
// Package exampleapp, which opens the database and serves, describes its environment.
package main

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/echoconnect"
	"github.com/hostbond/hostbond/examples/internal/exampleapp"
)

func main() { exampleapp.Main(build) }

func build(app *core.App, paths []string, adminToken string) exampleapp.Server {
	router := echo.New()
	// Echo's default log prints the tokens of pages. net/http recovers from a panic.
	router.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogMethod: true, LogURI: true, LogError: true, HandleError: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
			slog.Info("request", "status", v.Status, "method", v.Method, "target", core.HideToken(v.URI), "error", v.Error)
			return nil
		},
	}))
	for _, path := range paths {
		mount(router.Group(path), app, adminToken)
	}
	return exampleapp.HTTP(router)
}

func mount(router *echo.Group, app *core.App, adminToken string) {
	// The descriptor, installed, uninstalled, enabled and disabled.
	echoconnect.Mount(router, app)
	// A page, which the site opens with a token for its very URL.
	router.GET("/panel", panel, echoconnect.Authenticate(app))
	// A route that the app's own pages call, with a token from AP.context.getToken().
	router.GET("/api/me", me, echoconnect.Authenticate(app, core.ContextToken))
	// Any method there may be: Any takes eleven of them.
	router.RouteNotFound("/echo/*", call, echoconnect.Authenticate(app))

	router.GET("/healthz", func(c echo.Context) error {
		return c.NoContent(exampleapp.Health(c.Request().Context(), app))
	})
	// What an operator may see and do.
	if adminToken != "" {
		operator := admin.Handler(app, admin.BearerToken(adminToken))
		router.Any("/admin/*", echo.WrapHandler(operator))
	}
}

func panel(c echo.Context) error {
	return c.Blob(http.StatusOK, "text/html; charset=utf-8",
		exampleapp.Panel(echoconnect.Principal(c), c.Response().Header().Set))
}

func me(c echo.Context) error {
	return c.JSON(http.StatusOK, exampleapp.Me(echoconnect.Principal(c)))
}

func call(c echo.Context) error {
	return c.JSON(http.StatusOK, exampleapp.Echo(echoconnect.Principal(c), c.Request().Method, c.Request().RequestURI))
}
