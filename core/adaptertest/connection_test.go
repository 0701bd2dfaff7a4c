package adaptertest

import (
	"bytes"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/hostbond/hostbond/core"
)

// The memory of a connection is used for one request after the other. What keeps it must copy.
var connectionFaults = []fault{
	{
		name: "a method kept without a copy",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				request.Method = memoryOf(r).method.lend(request.Method)
			})
		},
		breaks: []string{"Connection/kept strings"},
	},
	{
		name: "a target kept without a copy",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				request.Target = memoryOf(r).target.lend(request.Target)
			})
		},
		breaks: []string{"Connection/kept strings"},
	},
	{
		name: "a header kept without a copy",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				request.Authorization = []string{memoryOf(r).header.lend(r.Header.Get("Authorization"))}
			})
		},
		breaks: []string{"Connection/kept strings"},
	},
	{
		name: "a principal in the memory of the connection",
		spoil: func(a *adapter) {
			enter := a.enter
			a.enter = func(r *http.Request, p *core.Principal) *http.Request {
				shared := &memoryOf(r).principal
				if *shared == nil {
					*shared = new(core.Principal)
				}
				**shared = *p
				return enter(r, *shared)
			}
		},
		breaks: []string{"Connection/kept principal"},
	},
	{
		name: "a connection that stays logged in",
		spoil: func(a *adapter) {
			enter := a.enter
			a.enter = func(r *http.Request, p *core.Principal) *http.Request {
				memoryOf(r).principal = p
				return enter(r, p)
			}
			a.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if p := memoryOf(r).principal; p != nil && len(r.Header["Authorization"]) == 0 {
						r = enter(r, p)
					}
					next.ServeHTTP(w, r)
				})
			}
		},
		breaks: []string{"Connection/one after another", "Connection/pipelined"},
	},
	{
		name: "a body after those before it",
		spoil: func(a *adapter) {
			read := func(r *http.Request) io.Reader {
				m := memoryOf(r)
				body, _ := io.ReadAll(r.Body)
				m.body = append(m.body, body...)
				return bytes.NewReader(m.body)
			}
			a.body = read
			a.callback = changed(func(r *http.Request, request *core.Request) { request.Body = read(r) })
		},
		breaks: []string{"Connection/one after another", "Connection/pipelined", "Lifecycle/one after another"},
	},
	{
		name: "a variable for the principal of all connections",
		spoil: func(a *adapter) {
			var last atomic.Pointer[core.Principal]
			enter := a.enter
			a.enter = func(r *http.Request, p *core.Principal) *http.Request {
				if before := last.Swap(p); before != nil {
					p = before
				}
				return enter(r, p)
			}
		},
		breaks: []string{"Connection/tenants", "Connection/pipelined", "Connection/one after another"},
	},
}
