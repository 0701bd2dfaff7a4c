package adaptertest

import (
	"net/http"
	"strings"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

var clientRules = []rule{
	{
		name:  "hangs up in the body",
		text:  stated("A callback whose client hangs up before the end of the body is not stored."),
		check: clientInBody,
	},
	{
		name:  "hangs up after the body",
		text:  stated("A callback whose client hangs up right after it has sent it is stored."),
		check: clientAfterBody,
	},
	{
		name:  "is served again",
		text:  stated("Clients that hang up at any point of a request leave an app that serves others."),
		check: clientServedAgain,
	},
}

// fetchKey has the core fetch Atlassian's key, for which it would not wait when the client has hung up.
func (t *trial) fetchKey() {
	t.Helper()
	other := t.callback(t.stranger().Callback(fakehost.Installed))
	if _, err := t.app.Lifecycle(t.Context(), core.EventInstalled, other.core()); err != nil {
		t.Fatalf("installing past the adapter: %v", err)
	}
}

func clientInBody(t *trial) {
	t.fetchKey()
	for _, chunked := range []bool{false, true} {
		site := t.stranger()
		r := t.callback(site.Callback(fakehost.Installed))
		// What arrives is whole JSON: only the frame tells that there should be more.
		whole := len(r.body)
		r.chunked = chunked
		r.body += strings.Repeat(" ", 2000)
		text := r.head() + r.framed()
		c := t.dial()
		if err := c.send(text[:len(r.head())+whole+1000]); err != nil {
			t.Fatalf("sending: %v", err)
		}
		_ = c.Close()
		t.gone(c)
		t.wantNothing(site)
	}
}

func clientAfterBody(t *trial) {
	t.fetchKey()
	site := t.stranger()
	install := site.Callback(fakehost.Installed)
	r := t.callback(install)
	c := t.dial()
	if err := c.send(r.head() + r.framed()); err != nil {
		t.Fatalf("sending: %v", err)
	}
	_ = c.Close()
	t.gone(c)
	t.wantOffered(site, install)
}

func clientServedAgain(t *trial) {
	site := t.site()
	r := t.genuine(site, http.MethodPost, t.path("/echo/page"))
	r.body = "a body"
	text := r.head() + r.framed()
	for _, n := range []int{1, len("POST /"), len(r.head()) / 2, len(r.head()), len(text) - 1, len(text)} {
		c := t.dial()
		if err := c.send(text[:n]); err != nil {
			t.Fatalf("sending: %v", err)
		}
		_ = c.Close()
		t.gone(c)
	}
	t.wantFrom(site, t.wantHandled(t.do(r)))
}
