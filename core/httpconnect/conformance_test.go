package httpconnect_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/adaptertest"
	"github.com/hostbond/hostbond/core/httpconnect"
)

func TestAdapterConforms(t *testing.T) {
	adaptertest.Run(t, func(s *adaptertest.Setup) func(net.Listener) error {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			value, _ := r.Context().Value(valueKey{}).(string)
			_, _ = io.WriteString(w, s.Report(r.Context(), adaptertest.Seen{
				Request: httpconnect.Request(r), Principal: httpconnect.Principal(r), Value: value, Body: r.Body,
			}))
		})
		mux := http.NewServeMux()
		httpconnect.Mount(mux, s.App)
		urlBound := httpconnect.Authenticate(s.App)
		anyKind := httpconnect.Authenticate(s.App, core.URLBound, core.ContextToken)
		mux.Handle("/echo/", urlBound(handler))
		mux.Handle("GET /api/me", httpconnect.Authenticate(s.App, core.ContextToken)(handler))
		mux.Handle("GET /nested", anyKind(urlBound(handler)))
		mux.Handle("GET /open", handler)

		root := http.NewServeMux()
		root.Handle(s.Prefix+"/", http.StripPrefix(s.Prefix, mux))
		return (&http.Server{Handler: remember(s, root)}).Serve
	})
}

type valueKey struct{}

// remember is the middleware before everything else.
func remember(s *adaptertest.Setup, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, value := s.Before(r.Context())
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, valueKey{}, value)))
	})
}
