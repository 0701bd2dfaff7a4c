// Package httpconnect connects an app to Jira and Confluence sites through net/http: ServeMux, chi, and whatever else
// takes an http.Handler.
//
//	mux := http.NewServeMux()
//	httpconnect.Mount(mux, app)
//	mux.Handle("GET /panel", httpconnect.Authenticate(app)(panel))
//
// Under a prefix, as of a base URL with a path, mount a mux of its own:
//
//	root.Handle("/connect/", http.StripPrefix("/connect", mux))
package httpconnect

import (
	"net/http"

	"github.com/hostbond/hostbond/core"
)

// Router is what Mount registers routes on: [http.ServeMux], or chi's router. Patterns are "METHOD /path".
type Router interface {
	Handle(pattern string, handler http.Handler)
}

// Mount registers the app's descriptor and its lifecycle callbacks.
func Mount(router Router, app *core.App) {
	for _, route := range app.Routes() {
		handler := http.Handler(descriptor(app))
		if route.Event != "" {
			handler = lifecycle(app, route.Event)
		}
		router.Handle(route.Method+" "+route.Path, handler)
	}
}

// Authenticate lets only those requests through that a site on which the app is installed has made. accept lists the
// kinds of token that the route takes; without it that is core.URLBound alone. Others are answered with a status and
// an empty body, and their reason is logged.
func Authenticate(app *core.App, accept ...core.TokenKind) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			principal, err := app.Authenticate(r.Context(), Request(r), accept...)
			if err != nil {
				Refuse(w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(core.WithPrincipal(r.Context(), principal)))
		})
	}
}

// Principal returns for whom the request speaks. It is nil on a route without [Authenticate].
func Principal(r *http.Request) *core.Principal {
	principal, _ := core.PrincipalFrom(r.Context())
	return principal
}

// Request returns what the core wants to know of r, for adapters of frameworks that are built on net/http.
func Request(r *http.Request) core.Request {
	target := r.RequestURI
	if target == "" { // not from a server, but from a test
		target = r.URL.RequestURI()
	}
	return core.Request{Method: r.Method, Target: target, Authorization: r.Header["Authorization"], Body: r.Body}
}

// Refuse answers a refusal of the core. The answer does not say why.
func Refuse(w http.ResponseWriter, err error) {
	for name, value := range core.RefusalHeader(err) {
		w.Header().Set(name, value)
	}
	w.WriteHeader(core.StatusCode(err))
}

func lifecycle(app *core.App, event core.Event) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := app.Lifecycle(r.Context(), event, Request(r)); err != nil {
			Refuse(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func descriptor(app *core.App) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(app.Descriptor())
	}
}
