package ginconnect_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/adaptertest"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/ginconnect"
)

func TestAdapterConformsOnAGroup(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		engine := gin.New()
		build(s, engine.Group(s.Prefix))
		return (&http.Server{Handler: engine}).Serve
	})
}

func TestAdapterConformsBelowAnotherRouter(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		engine := gin.New()
		build(s, &engine.RouterGroup)
		return (&http.Server{Handler: http.StripPrefix(s.Prefix, engine)}).Serve
	})
}

func build(s *adaptertest.Setup, router *gin.RouterGroup) {
	router.Use(func(c *gin.Context) {
		ctx, value := s.Before(c.Request.Context())
		c.Request = c.Request.WithContext(ctx)
		c.Set("value", value)
	})
	handler := func(c *gin.Context) {
		c.String(http.StatusOK, s.Report(c.Request.Context(), adaptertest.Seen{
			Request:   httpconnect.Request(c.Request),
			Principal: ginconnect.Principal(c),
			Value:     c.GetString("value"),
			Body:      c.Request.Body,
		}))
	}
	ginconnect.Mount(router, s.App)
	urlBound := ginconnect.Authenticate(s.App)
	anyKind := ginconnect.Authenticate(s.App, core.URLBound, core.ContextToken)
	router.Any("/echo/*rest", urlBound, handler)
	router.GET("/api/me", ginconnect.Authenticate(s.App, core.ContextToken), handler)
	router.GET("/nested", anyKind, urlBound, handler)
	router.GET("/open", handler)
}
