// Package admin lets an operator see over HTTP which shared secret each site is on, and act on it. [Handler] is for
// net/http and for whatever takes an http.Handler:
//
//	handler := admin.Handler(app, admin.BearerToken(os.Getenv("ADMIN_TOKEN")))
//	mux.Handle("/admin/", handler)                       // net/http
//	router.Any("/admin/*call", gin.WrapH(handler))       // Gin
//	router.Any("/admin/*", echo.WrapHandler(handler))    // Echo
//	router.All("/admin/*", adaptor.HTTPHandler(handler)) // Fiber v2, with its middleware/adaptor
//
// # Calls
//
// The last segment of the path names the call. What is before it does not matter, so the handler works below any path,
// whether a mux or a proxy takes a prefix off or not.
//
//	GET  progress       [core.App.Report]: how far the sites have got, in numbers, and the first stragglers
//	GET  installations  [core.App.Tenants]: an array of all of them; with clientKey, [core.App.Tenant]: the one
//	POST revoke         {"fingerprint","reason"}: [core.App.Revoke]; with "clientKey", [core.App.RevokeFor]
//	POST adopt          {}: [core.App.AdoptAppSecret]
//	POST release        {}: [core.App.ReleaseAppSecret]
//	POST purge          {"olderThanDays"}, from 1 to 36500: [core.App.Purge]
//	POST erase          {"clientKey"}: [core.App.Erase]
//
// A GET takes the parameters target (own or app_wide) and activeDays (1 to 36500), and progress takes stragglers (0 to
// 1000). A POST takes no parameters, but a JSON object of at most 16 KiB, with Content-Type application/json, which no
// form of another page can send. What is not known is refused by its name, so that no slip goes unnoticed.
//
// With "dryRun":true nothing is changed. Then revoke answers an array of the sites for which the secret verifies, each
// with its [core.Standing], and the others, but for erase, what they would do. Without it, revoke and erase answer
// {"installations":n}: those that had the secret, or are gone. adopt, release and purge answer a [core.Moved]. They take
// "limit" (1 to 1000000), for callers and proxies that do not wait for long, and "after", to go on where another call
// ended.
//
// # Answers
//
// An answer is JSON, and is not to be cached. An error is {"error":"…"}: 400, 413 and 415 for what was sent, 401 by the
// guard, 404 for a call or a client key that is not known, 405 for the method, 409 for the erasure of a site that is
// alive, 503 if the app could not do it, and 500 after a panic. Why is for the log. A call that has changed something
// before it failed tells that under "done". It can be made again: what is done is not done twice.
//
// An array is sent while it is read, so that its size does not matter. If it breaks off, its bracket is not closed, so
// that no JSON parser takes it for a whole one, and the connection is cut. Fiber's adaptor sends nothing before the end:
// there the array is kept in memory, and the status is 503 if it broke off.
//
// A call that changes something is logged before and after, to Config.Logger, with the address that it came from: that of
// the proxy, if there is one in between. revoke and erase go on when the caller hangs up; the others
// end, except behind Fiber's adaptor, which does not tell.
package admin

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/hostbond/hostbond/core"
)

// Handler serves the calls above to those requests that the guard lets through. It panics without a guard, since whoever
// reaches the calls can take every site's secret away. [BearerToken] is a guard; one of your own may ask for a
// certificate or a session. A session in a cookie is no danger: browsers do not send what is asked for here from another
// origin, as long as no CORS rule of yours allows it.
//
// Serve it by TLS, and rather not to the whole internet.
func Handler(app *core.App, guard func(*http.Request) bool) http.Handler {
	switch {
	case app == nil:
		panic("admin: Handler: the app is nil")
	case guard == nil:
		panic("admin: Handler: the guard is nil, and without one anybody could revoke every secret; BearerToken is one")
	}
	return &handler{app: app, guard: guard, log: app.Logger()}
}

type handler struct {
	app   *core.App
	guard func(*http.Request) bool
	log   *slog.Logger
}

// call is one thing that may be asked for.
type call struct {
	method string
	serve  func(*handler, *exchange) error
}

var calls = map[string]call{
	"progress":      {http.MethodGet, (*handler).progress},
	"installations": {http.MethodGet, (*handler).installations},
	"revoke":        {http.MethodPost, (*handler).revoke},
	"adopt":         {http.MethodPost, (*handler).adopt},
	"release":       {http.MethodPost, (*handler).release},
	"purge":         {http.MethodPost, (*handler).purge},
	"erase":         {http.MethodPost, (*handler).erase},
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r, h.log)
	defer x.recovered()
	// First of all, so that a stranger does not even learn which calls there are.
	if !h.guard(r) {
		x.log.InfoContext(x.ctx, "admin call refused by the guard")
		x.Header().Set("WWW-Authenticate", "Bearer")
		x.refuse(http.StatusUnauthorized, "unauthorized", nil)
		return
	}
	if err := h.serve(x); err != nil {
		x.fail(err)
	}
}

func (h *handler) serve(x *exchange) error {
	path := x.request.URL.EscapedPath()
	name := path[strings.LastIndexByte(path, '/')+1:]
	call, known := calls[name]
	switch {
	case !known:
		return &fault{http.StatusNotFound, "there is no such call"}
	case x.request.Method != call.method:
		x.Header().Set("Allow", call.method)
		return &fault{http.StatusMethodNotAllowed, "this call is made with " + call.method}
	}
	x.log = x.log.With("call", strings.Clone(name)) // an adaptor may use the memory of the path again
	return call.serve(h, x)
}
