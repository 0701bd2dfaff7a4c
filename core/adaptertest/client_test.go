package adaptertest

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/hostbond/hostbond/core"
)

var clientFaults = []fault{
	{
		name: "a body that broke off",
		spoil: withBody(func(r *http.Request) io.Reader {
			body, _ := io.ReadAll(r.Body)
			return bytes.NewReader(body)
		}),
		breaks: []string{"Client/hangs up in the body"},
	},
	{
		name: "work that ends with the connection",
		spoil: func(a *adapter) {
			a.lifecycle = func(_ http.ResponseWriter, r *http.Request, _ core.Event) {
				_, _ = io.Copy(io.Discard, r.Body) // then net/http looks out for the client
				<-r.Context().Done()
			}
		},
		breaks: []string{"Client/hangs up after the body"},
	},
	{
		name: "one broken body for all",
		spoil: func(a *adapter) {
			var broken atomic.Bool
			a.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						broken.Store(true)
					}
					if broken.Load() {
						w.WriteHeader(http.StatusInternalServerError)
						return
					}
					r.Body = io.NopCloser(bytes.NewReader(body))
					next.ServeHTTP(w, r)
				})
			}
		},
		breaks: []string{"Client/is served again"},
	},
}
