package echoconnect_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/adaptertest"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/echoconnect"
)

func TestAdapterConformsOnAGroup(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		e := echo.New()
		build(s, e.Group(s.Prefix))
		return (&http.Server{Handler: e}).Serve
	})
}

func TestAdapterConformsBelowAnotherRouter(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		e := echo.New()
		build(s, e.Group(""))
		return (&http.Server{Handler: http.StripPrefix(s.Prefix, e)}).Serve
	})
}

func build(s *adaptertest.Setup, router *echo.Group) {
	router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, value := s.Before(c.Request().Context())
			c.SetRequest(c.Request().WithContext(ctx))
			c.Set("value", value)
			return next(c)
		}
	})
	handler := func(c echo.Context) error {
		value, _ := c.Get("value").(string)
		return c.String(http.StatusOK, s.Report(c.Request().Context(), adaptertest.Seen{
			Request:   httpconnect.Request(c.Request()),
			Principal: echoconnect.Principal(c),
			Value:     value,
			Body:      c.Request().Body,
		}))
	}
	echoconnect.Mount(router, s.App)
	urlBound := echoconnect.Authenticate(s.App)
	anyKind := echoconnect.Authenticate(s.App, core.URLBound, core.ContextToken)
	router.Any("/echo/*", handler, urlBound)
	router.GET("/api/me", handler, echoconnect.Authenticate(s.App, core.ContextToken))
	router.GET("/nested", handler, anyKind, urlBound)
	router.GET("/open", handler)
}
