// Package fiberconnect connects a Fiber v2 app to Jira and Confluence sites.
//
//	fiberconnect.Mount(router, app)
//	router.Get("/panel", fiberconnect.Authenticate(app), panel)
//
// Fiber's own logger writes the query of a request, and with it the token of a page, where its format has ${url} or
// ${queryParams}. Give it a tag of your own:
//
//	logger.New(logger.Config{
//		Format:     "${status} ${method} ${target}\n",
//		CustomTags: map[string]logger.LogFunc{"target": fiberconnect.LogTarget},
//	})
//
// Fiber answers 431 to a header of more than 4 KiB, and a token alone may have 8: set fiber.Config.ReadBufferSize to
// 16 KiB.
package fiberconnect

import (
	"bytes"
	"maps"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/logger"

	"github.com/hostbond/hostbond/core"
)

// Mount registers the app's descriptor and its lifecycle callbacks, on an app or on a group.
func Mount(router fiber.Router, app *core.App) {
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
// an empty body. Their reason is logged, and handed to Fiber's ErrorHandler as a [Refusal].
func Authenticate(app *core.App, accept ...core.TokenKind) fiber.Handler {
	return func(c *fiber.Ctx) error {
		principal, err := app.Authenticate(c.UserContext(), request(c), accept...)
		if err != nil {
			return refuse(c, err)
		}
		c.SetUserContext(core.WithPrincipal(c.UserContext(), principal))
		return c.Next()
	}
}

// Principal returns for whom the request speaks. It is nil on a route without [Authenticate].
func Principal(c *fiber.Ctx) *core.Principal {
	principal, _ := core.PrincipalFrom(c.UserContext())
	return principal
}

// Refusal is what Fiber's ErrorHandler gets. Fiber's default one shows an error's text to the caller, so this error has
// none; errors.As finds the [fiber.Error] with the status in it, and core.Reason the reason.
type Refusal struct {
	cause error
}

// Error returns the empty text.
func (*Refusal) Error() string { return "" }

// Unwrap returns the status for Fiber and the cause for the operator.
func (r *Refusal) Unwrap() []error {
	return []error{&fiber.Error{Code: core.StatusCode(r.cause)}, r.cause}
}

// LogTarget is a tag for Fiber's logger: the request target without its token.
func LogTarget(output logger.Buffer, c *fiber.Ctx, _ *logger.Data, _ string) (int, error) {
	return output.WriteString(core.HideToken(c.OriginalURL())) // Request.RequestURI would rewrite it
}

func lifecycle(app *core.App, event core.Event) fiber.Handler {
	return func(c *fiber.Ctx) error {
		r := request(c)
		// Read before Lifecycle returns, and not kept. Body would read a stream to its end, however long that is.
		if r.Body = c.Context().RequestBodyStream(); r.Body == nil {
			r.Body = bytes.NewReader(c.Request().Body())
		}
		if _, err := app.Lifecycle(c.UserContext(), event, r); err != nil {
			return refuse(c, err)
		}
		c.Status(http.StatusNoContent)
		return nil
	}
}

func descriptor(app *core.App) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(app.Descriptor())
	}
}

// request copies everything: Fiber re-uses the memory of a request, even that of its method, for the next one.
func request(c *fiber.Ctx) core.Request {
	header := &c.Request().Header
	r := core.Request{
		Method: string(header.Method()),
		Target: string(header.RequestURI()),
	}
	for _, value := range header.PeekAll(fiber.HeaderAuthorization) {
		r.Authorization = append(r.Authorization, string(value))
	}
	return r
}

func refuse(c *fiber.Ctx, err error) error {
	header := core.RefusalHeader(err)
	for _, name := range slices.Sorted(maps.Keys(header)) { // Fiber sends them in the order in which they are set
		c.Set(name, header[name])
	}
	if c.Request().IsBodyStream() {
		c.Context().SetConnectionClose() // or else fasthttp takes the rest of the body for the next request
	}
	return &Refusal{cause: err}
}
