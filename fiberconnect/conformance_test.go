package fiberconnect

import (
	"bytes"
	"net"
	"testing"

	"github.com/gofiber/fiber/v2"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/adaptertest"
)

func TestAdapterConformsOnAGroup(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		build(s, app.Group(s.Prefix))
		return app.Listener
	})
}

func TestAdapterConformsOnAMountedApp(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		mounted := fiber.New()
		build(s, mounted)
		app.Mount(s.Prefix+"/", mounted)
		return app.Listener
	})
}

func build(s *adaptertest.Setup, router fiber.Router) {
	router.Use(func(c *fiber.Ctx) error {
		ctx, value := s.Before(c.UserContext())
		c.SetUserContext(ctx)
		c.Locals("value", value)
		return c.Next()
	})
	handler := func(c *fiber.Ctx) error {
		value, _ := c.Locals("value").(string)
		return c.SendString(s.Report(c.UserContext(), adaptertest.Seen{
			Request:   request(c),
			Principal: Principal(c),
			Value:     value,
			Body:      bytes.NewReader(c.Body()),
		}))
	}
	Mount(router, s.App)
	urlBound := Authenticate(s.App)
	anyKind := Authenticate(s.App, core.URLBound, core.ContextToken)
	router.All("/echo/*", urlBound, handler)
	router.Get("/api/me", Authenticate(s.App, core.ContextToken), handler)
	router.Get("/nested", anyKind, urlBound, handler)
	router.Get("/open", handler)
}
