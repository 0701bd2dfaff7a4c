package adaptertest

import (
	"net/http"
)

var descriptorFaults = []fault{
	{
		name: "a descriptor as text",
		spoil: func(a *adapter) {
			a.descriptor = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				_, _ = w.Write(a.app.Descriptor())
			}
		},
		breaks: []string{"Descriptor/GET", "Descriptor/HEAD"},
	},
	{
		name: "a descriptor of its own",
		spoil: func(a *adapter) {
			a.descriptor = func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, []byte("{}")) }
		},
		breaks: []string{"Descriptor/GET"},
	},
	{
		name: "a descriptor for GET alone",
		spoil: func(a *adapter) {
			a.descriptor = func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				serveJSON(w, a.app.Descriptor())
			}
		},
		breaks: []string{"Descriptor/HEAD"},
	},
}
