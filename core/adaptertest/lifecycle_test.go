package adaptertest

import (
	"bytes"
	"io"
	"net/http"

	"github.com/hostbond/hostbond/core"
)

// withBody returns a fault in what the core gets for the body of a callback.
func withBody(body func(*http.Request) io.Reader) func(*adapter) {
	return func(a *adapter) {
		a.callback = changed(func(r *http.Request, request *core.Request) { request.Body = body(r) })
	}
}

var lifecycleFaults = []fault{
	{
		name: "an answer before the work",
		spoil: func(a *adapter) {
			lifecycle := a.lifecycle
			a.lifecycle = func(w http.ResponseWriter, r *http.Request, event core.Event) {
				w.WriteHeader(http.StatusNoContent)
				_ = http.NewResponseController(w).Flush()
				lifecycle(silent{w}, r, event)
			}
		},
		breaks: []string{"Lifecycle/stored", "Lifecycle/refused"},
	},
	{
		name: "200 for a callback",
		spoil: func(a *adapter) {
			lifecycle := a.lifecycle
			a.lifecycle = func(w http.ResponseWriter, r *http.Request, event core.Event) {
				w.WriteHeader(http.StatusOK)
				lifecycle(silent{w}, r, event)
			}
		},
		breaks: []string{"Lifecycle/stored", "Lifecycle/events"},
	},
	{
		name: "a body read twice",
		spoil: withBody(func(r *http.Request) io.Reader {
			_, _ = io.Copy(io.Discard, r.Body)
			return r.Body
		}),
		breaks: []string{"Lifecycle/stored", "Lifecycle/expect"},
	},
	{
		name:   "the same event for all",
		spoil:  func(a *adapter) { a.event = func(core.Event) core.Event { return core.EventInstalled } },
		breaks: []string{"Lifecycle/events"},
	},
	{
		name: "routes of its own",
		spoil: func(a *adapter) {
			a.routes = func() []core.Route {
				return []core.Route{
					{Method: http.MethodPost, Path: "/installed", Event: core.EventInstalled},
					{Method: http.MethodGet, Path: "/atlassian-connect.json"},
				}
			}
		},
		breaks: []string{"Lifecycle/stored", "Descriptor/GET"},
	},
	{
		name: "the first of two headers of a callback",
		spoil: func(a *adapter) {
			a.callback = changed(func(r *http.Request, request *core.Request) {
				request.Authorization = []string{r.Header.Get("Authorization")}
			})
		},
		breaks: []string{"Lifecycle/token"},
	},
	{
		name:   "a body cut at the limit",
		spoil:  withBody(func(r *http.Request) io.Reader { return io.LimitReader(r.Body, maxBody) }),
		breaks: []string{"Lifecycle/64 KiB"},
	},
	{
		name:   "a lower limit of its own",
		spoil:  withBody(func(r *http.Request) io.Reader { return http.MaxBytesReader(nil, r.Body, maxBody/2) }),
		breaks: []string{"Lifecycle/64 KiB"},
	},
	{
		name: "a body without limit",
		spoil: withBody(func(r *http.Request) io.Reader {
			body, _ := io.ReadAll(r.Body)
			return bytes.NewReader(body)
		}),
		breaks: []string{"Lifecycle/huge body"},
	},
	{
		name: "no 100 Continue",
		spoil: func(a *adapter) {
			a.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Expect") != "" {
						w.WriteHeader(http.StatusExpectationFailed)
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		},
		breaks: []string{"Lifecycle/expect"},
	},
}

// silent writes nothing.
type silent struct{ http.ResponseWriter }

func (silent) WriteHeader(int) {}

func (silent) Write(p []byte) (int, error) { return len(p), nil }
