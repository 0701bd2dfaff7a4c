// Package ginconnect connects a Gin app to Jira and Confluence sites.
//
//	ginconnect.Mount(router, app)
//	router.GET("/panel", ginconnect.Authenticate(app), panel)
//
// Gin's own logger copies the query of a request, and with it the token of a page, before any handler runs. Use it
// with this package's formatter:
//
//	router := gin.New()
//	router.RedirectTrailingSlash = false // its redirects repeat the token, and print it
//	router.Use(gin.LoggerWithFormatter(ginconnect.LogFormatter))
//
// [gin.Recovery] dumps the request, the token in its URL included, in debug mode and when the client has gone. net/http
// recovers too.
package ginconnect

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
)

// Mount registers the app's descriptor and its lifecycle callbacks, on an engine or on a group.
func Mount(router gin.IRoutes, app *core.App) {
	for _, route := range app.Routes() {
		handler := descriptor(app)
		if route.Event != "" {
			handler = lifecycle(app, route.Event)
		}
		router.Handle(route.Method, route.Path, handler)
	}
}

// Authenticate lets only those requests through that a site on which the app is installed has made. accept lists the
// kinds of token that the route takes; without it that is core.URLBound alone. Others are answered with a status and
// an empty body; their reason is logged and in c.Errors.
func Authenticate(app *core.App, accept ...core.TokenKind) gin.HandlerFunc {
	return func(c *gin.Context) {
		principal, err := app.Authenticate(c.Request.Context(), httpconnect.Request(c.Request), accept...)
		if err != nil {
			refuse(c, err)
			return
		}
		c.Request = c.Request.WithContext(core.WithPrincipal(c.Request.Context(), principal))
		c.Next()
	}
}

// Principal returns for whom the request speaks. It is nil on a route without [Authenticate].
func Principal(c *gin.Context) *core.Principal { return httpconnect.Principal(c.Request) }

// LogFormatter formats a line of Gin's logger as its own formatter does, without colours, and hides tokens.
func LogFormatter(p gin.LogFormatterParams) string {
	return fmt.Sprintf("[GIN] %s | %3d | %13v | %15s | %-7s %#v\n%s", p.TimeStamp.Format("2006/01/02 - 15:04:05"),
		p.StatusCode, p.Latency.Truncate(time.Microsecond), p.ClientIP, p.Method, core.HideToken(p.Path), p.ErrorMessage)
}

func lifecycle(app *core.App, event core.Event) gin.HandlerFunc {
	return func(c *gin.Context) {
		if _, err := app.Lifecycle(c.Request.Context(), event, httpconnect.Request(c.Request)); err != nil {
			refuse(c, err)
			return
		}
		c.Status(http.StatusNoContent)
	}
}

func descriptor(app *core.App) gin.HandlerFunc {
	return func(c *gin.Context) { c.Data(http.StatusOK, "application/json", app.Descriptor()) }
}

// refuse hands the cause to Gin's error channel, and to the caller nothing but a status.
func refuse(c *gin.Context, err error) {
	_ = c.Error(err)
	for name, value := range core.RefusalHeader(err) {
		c.Header(name, value)
	}
	c.AbortWithStatus(core.StatusCode(err))
}
