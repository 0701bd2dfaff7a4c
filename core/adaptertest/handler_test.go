package adaptertest

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/hostbond/hostbond/core"
)

var handlerFaults = []fault{
	{
		name: "a principal that is not in the context",
		spoil: func(a *adapter) {
			type key struct{}
			a.enter = func(r *http.Request, p *core.Principal) *http.Request {
				return r.WithContext(context.WithValue(r.Context(), key{}, p))
			}
			a.principal = func(r *http.Request) *core.Principal {
				p, _ := r.Context().Value(key{}).(*core.Principal)
				return p
			}
		},
		breaks: []string{"Handler/principal", "Handler/nested", "Connection/tenants"},
	},
	{
		name: "a principal wherever there is a token",
		spoil: func(a *adapter) {
			a.around = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if p, err := a.app.Authenticate(r.Context(), a.request(r)); err == nil {
						r = a.enter(r, p)
					}
					next.ServeHTTP(w, r)
				})
			}
		},
		breaks: []string{"Handler/no principal", "Refusal/once"},
	},
	{
		name: "a fresh context for the handler",
		spoil: func(a *adapter) {
			a.enter = func(r *http.Request, p *core.Principal) *http.Request {
				return r.WithContext(core.WithPrincipal(context.Background(), p))
			}
		},
		breaks: []string{"Handler/earlier values"},
	},
	{
		name: "a fresh context for the core",
		spoil: func(a *adapter) {
			a.context = func(*http.Request) context.Context { return context.Background() }
		},
		breaks: []string{"Handler/core's context", "Handler/nested"},
	},
	{
		name: "Authenticate reads the body",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				body, _ := io.ReadAll(r.Body)
				request.Body = bytes.NewReader(body)
			})
		},
		breaks: []string{"Handler/body"},
	},
	{
		name: "the handler runs after a refusal",
		spoil: func(a *adapter) {
			refuse := a.refuse
			a.refuse = func(w http.ResponseWriter, r *http.Request, err error) bool {
				refuse(w, r, err)
				return true
			}
		},
		breaks: []string{"Handler/refused", "Token/nowhere else", "Refusal/status"},
	},
	{
		name: "every kind of token on every route",
		spoil: func(a *adapter) {
			a.accept = func([]core.TokenKind) []core.TokenKind {
				return []core.TokenKind{core.URLBound, core.ContextToken}
			}
		},
		breaks: []string{"Handler/token kinds", "Handler/nested"},
	},
}
