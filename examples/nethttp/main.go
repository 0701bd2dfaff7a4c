// Command nethttp is a small but whole Connect app on net/http: a page in Jira, a route that the page calls, and what
// keeps the bond with every site that installs it. From the root of the repository:
//
//	go run ./examples/nethttp
//
// Package exampleapp, which opens the database and serves, describes its environment.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/examples/internal/exampleapp"
)

func main() { exampleapp.Main(build) }

func build(app *core.App, paths []string, adminToken string) exampleapp.Server {
	router := http.NewServeMux()
	for _, path := range paths {
		below := http.NewServeMux()
		mount(below, app, adminToken)
		router.Handle(path+"/", http.StripPrefix(path, below))
	}
	return exampleapp.HTTP(logged(router))
}

func mount(router *http.ServeMux, app *core.App, adminToken string) {
	// The descriptor, installed, uninstalled, enabled and disabled.
	httpconnect.Mount(router, app)
	// A page, which the site opens with a token for its very URL.
	router.Handle("GET /panel", httpconnect.Authenticate(app)(http.HandlerFunc(panel)))
	// A route that the app's own pages call, with a token from AP.context.getToken().
	router.Handle("GET /api/me", httpconnect.Authenticate(app, core.ContextToken)(http.HandlerFunc(me)))
	// Any method there may be.
	router.Handle("/echo/", httpconnect.Authenticate(app)(http.HandlerFunc(call)))

	router.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(exampleapp.Health(r.Context(), app))
	})
	// What an operator may see and do.
	if adminToken != "" {
		operator := admin.Handler(app, admin.BearerToken(adminToken))
		router.Handle("/admin/", operator)
	}
}

func panel(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(exampleapp.Panel(httpconnect.Principal(r), w.Header().Set))
}

func me(w http.ResponseWriter, r *http.Request) {
	answer(w, exampleapp.Me(httpconnect.Principal(r)))
}

func call(w http.ResponseWriter, r *http.Request) {
	answer(w, exampleapp.Echo(httpconnect.Principal(r), r.Method, r.RequestURI))
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // fails only if the caller has gone
}

// logged logs each request, without the token of a page.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slog.Info("request", "method", r.Method, "target", core.HideToken(r.RequestURI))
		next.ServeHTTP(w, r)
	})
}
