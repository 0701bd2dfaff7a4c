// Package echoconnect connects an Echo v4 app to Jira and Confluence sites.
//
//	echoconnect.Mount(e, app)
//	e.GET("/panel", panel, echoconnect.Authenticate(app))
//
// Echo's own logger writes the query of a request, and with it the token of a page. Use middleware.RequestLogger with
// core.HideToken instead:
//
//	e.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
//		LogURI: true, LogStatus: true, LogError: true,
//		LogValuesFunc: func(c echo.Context, v middleware.RequestLoggerValues) error {
//			slog.Info("request", "uri", core.HideToken(v.URI), "status", v.Status, "error", v.Error)
//			return nil
//		},
//	}))
package echoconnect

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
)

// Router is what Mount registers routes on: [echo.Echo] or [echo.Group].
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) *echo.Route
}

// Mount registers the app's descriptor and its lifecycle callbacks, on an instance or on a group.
func Mount(router Router, app *core.App) {
	for _, route := range app.Routes() {
		handler := descriptor(app)
		if route.Event != "" {
			handler = lifecycle(app, route.Event)
		}
		router.Add(route.Method, route.Path, handler)
	}
}

// Authenticate lets only those requests through that a site on which the app is installed has made. accept lists the
// kinds of token that the route takes; without it that is core.URLBound alone. Others are answered with a status and
// an empty body. Their reason is logged, and handed to Echo's HTTPErrorHandler, which gets a committed response and the
// refusal as the internal error of an [echo.HTTPError].
func Authenticate(app *core.App, accept ...core.TokenKind) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			principal, err := app.Authenticate(r.Context(), httpconnect.Request(r), accept...)
			if err != nil {
				return refuse(c, err)
			}
			c.SetRequest(r.WithContext(core.WithPrincipal(r.Context(), principal)))
			return next(c)
		}
	}
}

// Principal returns for whom the request speaks. It is nil on a route without [Authenticate].
func Principal(c echo.Context) *core.Principal { return httpconnect.Principal(c.Request()) }

func lifecycle(app *core.App, event core.Event) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := app.Lifecycle(c.Request().Context(), event, httpconnect.Request(c.Request())); err != nil {
			return refuse(c, err)
		}
		return c.NoContent(http.StatusNoContent)
	}
}

func descriptor(app *core.App) echo.HandlerFunc {
	return func(c echo.Context) error { return c.Blob(http.StatusOK, "application/json", app.Descriptor()) }
}

// refuse answers at once, so that no error handler shows the cause, and then hands it to Echo. The length keeps out the
// body of a handler that does not look whether the response is committed.
func refuse(c echo.Context, err error) error {
	c.Response().Header().Set(echo.HeaderContentLength, "0")
	httpconnect.Refuse(c.Response(), err)
	return echo.NewHTTPError(core.StatusCode(err)).SetInternal(err)
}
