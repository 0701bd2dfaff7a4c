package adaptertest

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core"
)

var refusalRules = []rule{
	{
		name:  "status",
		text:  stated("A refusal has the status that the core has for it: 401, or 503 while the store is down."),
		check: refusalStatus,
	},
	{
		name:  "header",
		text:  stated("A refusal has the header fields that the core has for it, with the id under which it was logged."),
		check: refusalHeader,
	},
	{
		name:  "empty",
		text:  stated("A refusal has no body."),
		check: refusalEmpty,
	},
	{
		name:  "alike",
		text:  stated("All refusals with 401 are equal in every byte but date and id: unknown tenant, bad signature and all."),
		check: refusalAlike,
	},
	{
		name:  "once",
		text:  stated("The core is asked once for a request that it refuses."),
		check: refusalOnce,
	},
	{
		name:  "unread body",
		text:  stated("The body of a refused request is not taken for the next request on the connection."),
		check: refusalUnreadBody,
	},
}

func refusalStatus(t *trial) {
	for _, r := range t.mistakes() {
		err := t.verdict(r)
		t.wantRefused(t.do(r), core.StatusCode(err), core.Reason(err))
	}
	site := t.site()
	t.store.down.Store(true)
	x := t.do(t.genuine(site, http.MethodGet, t.path("/echo/page")))
	t.wantRefused(x, http.StatusServiceUnavailable, core.ReasonStore)
}

func refusalHeader(t *trial) {
	site := t.site()
	requests := t.mistakes()
	requests["callback"] = request{method: http.MethodPost, target: t.path(t.app.Routes()[0].Path)}
	ids := map[string]bool{}
	wantHeader := func(x exchange, err error) {
		if len(x.refusals) != 1 {
			t.Errorf("%v: got %s, want one refusal", x.request, x)
			return
		}
		for name, want := range core.RefusalHeader(err) {
			if want == core.CorrelationID(err) {
				want = x.refusals[0].id
			}
			if got := x.answer.header[name]; !slices.Equal(got, []string{want}) {
				t.Errorf("%v: got %s %q, want %q", x.request, name, got, want)
			}
		}
		ids[x.refusals[0].id] = true
	}
	for _, r := range requests {
		wantHeader(t.do(r), t.verdict(r))
	}
	t.store.down.Store(true)
	r := t.genuine(site, http.MethodGet, t.path("/echo/page"))
	wantHeader(t.do(r), t.verdict(r))
	if want := len(requests) + 1; len(ids) != want {
		t.Errorf("got %d ids for %d refusals, want one for each", len(ids), want)
	}
}

func refusalEmpty(t *trial) {
	requests := slices.Collect(maps.Values(t.mistakes()))
	for _, route := range t.app.Routes() {
		if route.Event != "" {
			requests = append(requests, request{method: route.Method, target: t.path(route.Path)})
		}
	}
	wantEmpty := func(r request) {
		x := t.do(r)
		if len(x.refusals) == 0 {
			t.Errorf("%v: got %s, want a refusal", r, x)
		}
		if x.answer.body != "" {
			t.Errorf("%v: the refusal has the body %q, want none", r, x.answer.body)
		}
	}
	for _, r := range requests {
		wantEmpty(r)
	}
	site := t.site()
	t.store.down.Store(true)
	wantEmpty(t.genuine(site, http.MethodGet, t.path("/echo/page")))
}

// changing is what two equal answers may differ in.
var changing = regexp.MustCompile(`(?mi)^(date|x-correlation-id): .*$`)

func refusalAlike(t *trial) {
	first := ""
	for name, r := range t.mistakes() {
		r.fields = append(r.fields, "Connection: close")
		text := changing.ReplaceAllString(t.raw(r), "$1: …")
		switch {
		case first == "":
			first = text
		case text != first:
			t.Errorf("%s: got the answer %q, want %q as for other reasons", name, text, first)
		}
	}
}

// raw returns every byte of the answer to a request that ends its connection.
func (t *trial) raw(r request) string {
	t.Helper()
	c := t.dial()
	if err := c.send(r.head() + r.framed()); err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	text, err := io.ReadAll(c.reader)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return string(text)
}

func refusalOnce(t *trial) {
	for name, r := range t.mistakes() {
		if x := t.do(r); len(x.refusals) != 1 {
			t.Errorf("%s: the core logged %d refusals, want 1", name, len(x.refusals))
		}
	}
	for _, route := range t.app.Routes() {
		if route.Event == "" {
			continue
		}
		if x := t.do(request{method: route.Method, target: t.path(route.Path)}); len(x.refusals) != 1 {
			t.Errorf("%s: the core logged %d refusals, want 1", route.Path, len(x.refusals))
		}
	}
}

func refusalUnreadBody(t *trial) {
	site := t.site()
	hidden := t.genuine(site, http.MethodGet, t.path("/echo/hidden"))
	next := t.genuine(site, http.MethodGet, t.path("/echo/next"))
	for _, chunked := range []bool{false, true} {
		refused := request{
			method: http.MethodPost, target: t.path("/echo/page"), chunked: chunked,
			body: strings.Repeat(hidden.head(), 100),
		}
		c := t.dial()
		visits := len(t.visits.since(0))
		if err := c.send(refused.head() + refused.framed() + next.head()); err != nil {
			t.Fatalf("sending: %v", err)
		}
		if a, err := c.receive(refused.method); err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("%v: got status %d and the error %v, want 401", refused, a.status, err)
		}
		// No answer is right, too: who does not want to read a body may close its connection.
		if a, err := c.receive(next.method); err == nil && a.status != http.StatusOK {
			t.Errorf("%v: got status %d, want 200", next, a.status)
		}
		for _, v := range t.visits.since(visits) {
			if v.then.Request.Target != next.target {
				t.Errorf("the handler ran for %+q, which was in the body of another request", v.then.Request.Target)
			}
		}
	}
}
