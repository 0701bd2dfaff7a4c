package adaptertest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"unsafe"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
)

// adapter is an adapter for net/http that is made of functions, so that each can be wrong.
type adapter struct {
	app  *core.App
	root http.Handler // the whole app

	// For Authenticate.
	context func(*http.Request) context.Context
	request func(*http.Request) core.Request
	accept  func([]core.TokenKind) []core.TokenKind
	refuse  func(http.ResponseWriter, *http.Request, error) (goOn bool)
	enter   func(*http.Request, *core.Principal) *http.Request

	// For the routes that sites call.
	routes     func() []core.Route
	callback   func(*http.Request) core.Request
	event      func(core.Event) core.Event
	lifecycle  func(http.ResponseWriter, *http.Request, core.Event)
	descriptor func(http.ResponseWriter, *http.Request)

	// For handlers.
	principal func(*http.Request) *core.Principal
	body      func(*http.Request) io.Reader
	answer    func(string) string

	around func(http.Handler) http.Handler
}

// adapting returns a Mount for an adapter that is right but for what spoil changes.
func adapting(spoil func(*adapter)) Mount {
	return func(s *Setup) func(net.Listener) error {
		a := &adapter{
			app:        s.App,
			context:    func(r *http.Request) context.Context { return r.Context() },
			request:    httpconnect.Request,
			accept:     func(kinds []core.TokenKind) []core.TokenKind { return kinds },
			routes:     s.App.Routes,
			callback:   httpconnect.Request,
			event:      func(event core.Event) core.Event { return event },
			descriptor: func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, s.App.Descriptor()) },
			principal:  httpconnect.Principal,
			body:       func(r *http.Request) io.Reader { return r.Body },
			answer:     func(text string) string { return text },
			around:     func(next http.Handler) http.Handler { return next },
		}
		a.refuse = func(w http.ResponseWriter, _ *http.Request, err error) bool {
			httpconnect.Refuse(w, err)
			return false
		}
		a.enter = func(r *http.Request, p *core.Principal) *http.Request {
			return r.WithContext(core.WithPrincipal(r.Context(), p))
		}
		a.lifecycle = func(w http.ResponseWriter, r *http.Request, event core.Event) {
			if _, err := s.App.Lifecycle(a.context(r), event, a.callback(r)); err == nil || a.refuse(w, r, err) {
				w.WriteHeader(http.StatusNoContent)
			}
		}
		spoil(a)
		return a.serve(s)
	}
}

func right(*adapter) {}

func serveJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (a *adapter) authenticate(next http.Handler, accept ...core.TokenKind) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.app.Authenticate(a.context(r), a.request(r), a.accept(accept)...)
		switch {
		case err == nil:
			next.ServeHTTP(w, a.enter(r, p))
		case a.refuse(w, r, err):
			next.ServeHTTP(w, r)
		}
	})
}

func (a *adapter) serve(s *Setup) func(net.Listener) error {
	type valueKey struct{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, _ := r.Context().Value(valueKey{}).(string)
		_, _ = io.WriteString(w, a.answer(s.Report(r.Context(), Seen{
			Request: a.request(r), Principal: a.principal(r), Value: value, Body: a.body(r),
		})))
	})
	mux := http.NewServeMux()
	for _, route := range a.routes() {
		mux.HandleFunc(route.Method+" "+s.Prefix+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if route.Event == "" {
				a.descriptor(w, r)
			} else {
				a.lifecycle(w, r, a.event(route.Event))
			}
		})
	}
	mux.Handle(s.Prefix+"/echo/", a.authenticate(handler))
	mux.Handle("GET "+s.Prefix+"/api/me", a.authenticate(handler, core.ContextToken))
	mux.Handle("GET "+s.Prefix+"/nested", a.authenticate(a.authenticate(handler), core.URLBound, core.ContextToken))
	mux.Handle("GET "+s.Prefix+"/open", handler)

	next := a.around(mux)
	a.root = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, value := s.Before(r.Context())
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, valueKey{}, value)))
	})
	server := &http.Server{Handler: a.root, ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, memoryKey{}, new(memory))
	}}
	return server.Serve
}

// memory belongs to a connection and is used for one request after another, as fasthttp does with what it reads.
type memory struct {
	method, target, header scratch
	principal              *core.Principal
	body                   []byte
}

type memoryKey struct{}

func memoryOf(r *http.Request) *memory { return r.Context().Value(memoryKey{}).(*memory) }

// scratch lends out its memory as a string, which changes with the next one.
type scratch [4096]byte

func (s *scratch) lend(text string) string {
	return unsafe.String(&s[0], copy(s[:], text))
}

// changed returns a request function that changes what the right one returns.
func changed(change func(*http.Request, *core.Request)) func(*http.Request) core.Request {
	return func(r *http.Request) core.Request {
		request := httpconnect.Request(r)
		change(r, &request)
		return request
	}
}

// onTarget returns a request function that changes path and query of the target.
func onTarget(change func(path, query string) (string, string)) func(*http.Request) core.Request {
	return changed(func(_ *http.Request, request *core.Request) {
		path, query, found := strings.Cut(request.Target, "?")
		path, query = change(path, query)
		request.Target = path
		if found && query != "" {
			request.Target += "?" + query
		}
	})
}
