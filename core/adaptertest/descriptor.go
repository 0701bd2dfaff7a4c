package adaptertest

import (
	"mime"
	"net/http"
	"slices"

	"github.com/hostbond/hostbond/core"
)

var descriptorRules = []rule{
	{
		name:  "GET",
		text:  stated("The descriptor is served to everybody, byte for byte, as application/json."),
		check: descriptorGET,
	},
	{
		name:  "HEAD",
		text:  stated("HEAD of the descriptor is answered as GET is, without the body."),
		check: descriptorHEAD,
	},
}

// descriptor asks for the descriptor.
func (t *trial) descriptor(method string) answer {
	t.Helper()
	at := slices.IndexFunc(t.app.Routes(), func(route core.Route) bool { return route.Event == "" })
	x := t.do(request{method: method, target: t.path(t.app.Routes()[at].Path)})
	if x.answer.status != http.StatusOK {
		t.Fatalf("%v: got %s, want 200", x.request, x)
	}
	if kind, _, err := mime.ParseMediaType(x.answer.header.Get("Content-Type")); err != nil || kind != "application/json" {
		t.Errorf("%v: got Content-Type %q, want application/json", x.request, x.answer.header.Get("Content-Type"))
	}
	return x.answer
}

func descriptorGET(t *trial) {
	if got, want := t.descriptor(http.MethodGet).body, string(t.app.Descriptor()); got != want {
		t.Errorf("got the descriptor %q, want %q", got, want)
	}
}

func descriptorHEAD(t *trial) {
	if got := t.descriptor(http.MethodHead).body; got != "" {
		t.Errorf("got the body %q, want none", got)
	}
	// A body would be taken for the answer to the next request.
	t.descriptor(http.MethodGet)
}
