// Command gin is a small but whole Connect app on Gin: a page in Jira, a route that the page calls, and what keeps the
// bond with every site that installs it. From the root of the repository:
//
//	go run ./examples/gin
//
// Package exampleapp, which opens the database and serves, describes its environment.
package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/examples/internal/exampleapp"
	"github.com/hostbond/hostbond/ginconnect"
)

func main() { exampleapp.Main(build) }

func build(app *core.App, paths []string, adminToken string) exampleapp.Server {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	// Gin's own logger and Gin's recovery may print the tokens of pages. net/http recovers from a panic as well.
	router.Use(gin.LoggerWithFormatter(ginconnect.LogFormatter))
	// A token is good for one URL, not for the one that a redirect leads to.
	router.RedirectTrailingSlash = false
	for _, path := range paths {
		mount(router.Group(path), app, adminToken)
	}
	// Any method there may be: a group's Any takes nine of them.
	router.NoRoute(below(paths, "/echo/"), ginconnect.Authenticate(app), call)
	return exampleapp.HTTP(router)
}

func mount(router gin.IRoutes, app *core.App, adminToken string) {
	// The descriptor, installed, uninstalled, enabled and disabled.
	ginconnect.Mount(router, app)
	// A page, which the site opens with a token for its very URL.
	router.GET("/panel", ginconnect.Authenticate(app), panel)
	// A route that the app's own pages call, with a token from AP.context.getToken().
	router.GET("/api/me", ginconnect.Authenticate(app, core.ContextToken), me)

	router.GET("/healthz", func(c *gin.Context) {
		c.Status(exampleapp.Health(c.Request.Context(), app))
	})
	// What an operator may see and do.
	if adminToken != "" {
		operator := admin.Handler(app, admin.BearerToken(adminToken))
		router.Any("/admin/*call", gin.WrapH(operator))
	}
}

func panel(c *gin.Context) {
	c.Data(http.StatusOK, "text/html; charset=utf-8", exampleapp.Panel(ginconnect.Principal(c), c.Header))
}

func me(c *gin.Context) {
	c.JSON(http.StatusOK, exampleapp.Me(ginconnect.Principal(c)))
}

func call(c *gin.Context) {
	c.JSON(http.StatusOK, exampleapp.Echo(ginconnect.Principal(c), c.Request.Method, c.Request.RequestURI))
}

// below answers 404 to everything that is not below one of the paths, with the route behind it.
func below(paths []string, route string) gin.HandlerFunc {
	return func(c *gin.Context) {
		here := func(path string) bool { return strings.HasPrefix(c.Request.URL.Path, path+route) }
		if !slices.ContainsFunc(paths, here) {
			c.AbortWithStatus(http.StatusNotFound)
		}
	}
}
