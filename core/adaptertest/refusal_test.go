package adaptertest

import (
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/hostbond/hostbond/core"
)

// refusing returns a fault in the answer to a refusal.
func refusing(refuse func(http.ResponseWriter, *http.Request, error)) func(*adapter) {
	return func(a *adapter) {
		a.refuse = func(w http.ResponseWriter, r *http.Request, err error) bool {
			refuse(w, r, err)
			return false
		}
	}
}

func setHeader(w http.ResponseWriter, err error) {
	for name, value := range core.RefusalHeader(err) {
		w.Header().Set(name, value)
	}
}

var refusalFaults = []fault{
	{
		name: "401 for everything",
		spoil: refusing(func(w http.ResponseWriter, _ *http.Request, err error) {
			setHeader(w, err)
			w.WriteHeader(http.StatusUnauthorized)
		}),
		breaks: []string{"Refusal/status", "Lifecycle/refused"},
	},
	{
		name: "200 for everything",
		spoil: refusing(func(w http.ResponseWriter, _ *http.Request, err error) {
			setHeader(w, err)
		}),
		breaks: []string{"Refusal/status", "Lifecycle/refused", "Lifecycle/64 KiB"},
	},
	{
		name: "a status alone",
		spoil: refusing(func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(core.StatusCode(err))
		}),
		breaks: []string{"Refusal/header"},
	},
	{
		name: "the reason in the body",
		spoil: refusing(func(w http.ResponseWriter, _ *http.Request, err error) {
			setHeader(w, err)
			http.Error(w, err.Error(), core.StatusCode(err))
		}),
		breaks: []string{"Refusal/empty", "Refusal/alike", "Lifecycle/refused"},
	},
	{
		name: "the reason in the header",
		spoil: refusing(func(w http.ResponseWriter, _ *http.Request, err error) {
			setHeader(w, err)
			w.Header().Set("X-Reason", string(core.Reason(err)))
			w.WriteHeader(core.StatusCode(err))
		}),
		breaks: []string{"Refusal/alike"},
	},
	{
		name: "another try after a refusal",
		spoil: func(a *adapter) {
			refuse := a.refuse
			a.refuse = func(w http.ResponseWriter, r *http.Request, _ error) bool {
				_, err := a.app.Authenticate(r.Context(), a.request(r))
				return refuse(w, r, err)
			}
		},
		breaks: []string{"Refusal/once"},
	},
	{
		name: "a refused body is read as requests",
		spoil: func(a *adapter) {
			a.refuse = func(w http.ResponseWriter, _ *http.Request, _ error) bool {
				conn, buffered, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return false
				}
				defer func() { _ = conn.Close() }()
				_, _ = io.WriteString(conn, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
				for {
					r, err := http.ReadRequest(buffered.Reader)
					if err != nil {
						return false
					}
					answer := httptest.NewRecorder()
					a.root.ServeHTTP(answer, r)
					response := answer.Result()
					response.ContentLength = int64(answer.Body.Len())
					_ = response.Write(conn)
				}
			}
		},
		breaks: []string{"Refusal/unread body"},
	},
}
