// Package readme holds the code of the README that is no program: what its quick start does with Gin, with the others.
package readme

import (
	"io"
	"log/slog"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/logger"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/echoconnect"
	"github.com/hostbond/hostbond/fiberconnect"
)

// Echo routes with Echo.
func Echo(app *core.App) *echo.Echo {
	router := echo.New()
	router.Use(middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
		LogStatus: true, LogMethod: true, LogURI: true, LogError: true, HandleError: true,
		LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
			slog.Info("request", "status", v.Status, "method", v.Method, "target", core.HideToken(v.URI), "error", v.Error)
			return nil
		},
	}))
	echoconnect.Mount(router, app)
	router.GET("/panel", func(c echo.Context) error {
		return c.String(http.StatusOK, "Hello, "+echoconnect.Principal(c).AccountID)
	}, echoconnect.Authenticate(app))
	return router
}

// Fiber routes with Fiber.
func Fiber(app *core.App) *fiber.App {
	router := fiber.New(fiber.Config{ReadBufferSize: 16 << 10}) // by default a long token gets 431
	router.Use(logger.New(logger.Config{
		Format:     "${time} ${status} ${method} ${target}\n",
		CustomTags: map[string]logger.LogFunc{"target": fiberconnect.LogTarget},
	}))
	fiberconnect.Mount(router, app)
	router.Get("/panel", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
		return c.SendString("Hello, " + fiberconnect.Principal(c).AccountID)
	})
	return router
}

// NetHTTP routes with net/http.
func NetHTTP(app *core.App) http.Handler {
	router := http.NewServeMux()
	httpconnect.Mount(router, app)
	panel := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "Hello, "+httpconnect.Principal(r).AccountID)
	})
	router.Handle("GET /panel", httpconnect.Authenticate(app)(panel))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slog.Info("request", "method", r.Method, "target", core.HideToken(r.RequestURI))
		router.ServeHTTP(w, r)
	})
}
