package adaptertest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

var connectionRules = []rule{
	{
		name:  "kept strings",
		text:  stated("Method, target and header that the core was given stay as they were through 100 later requests."),
		check: connectionKeptStrings,
	},
	{
		name:  "kept principal",
		text:  stated("A principal, and the context that carries it, stay as they were through 100 later requests."),
		check: connectionKeptPrincipal,
	},
	{
		name:  "one after another",
		text:  stated("Of requests that follow each other on a connection, each is judged and seen by itself."),
		check: connectionOneAfterAnother,
	},
	{
		name:  "pipelined",
		text:  stated("Requests that are sent before the answers to earlier ones are answered in their order."),
		check: connectionPipelined,
	},
	{
		name:  "tenants",
		text:  stated("Hundreds of tenants on connections that they share, all at once, never see each other."),
		check: connectionTenants,
	},
}

// later is how many requests come after the one that is kept.
const later = 100

// keep has a request of one site, and then many of another on the same connection. It returns all that handlers saw.
func (t *trial) keep() []visit {
	t.Helper()
	first, second := t.site(), t.site()
	c := t.dial()
	method, site := http.MethodPost, first
	for n := range later + 1 {
		// Of one length, so that they fit into the same memory.
		r := t.genuine(site, method, t.path(fmt.Sprintf("/echo/%s/%04d", method, n)))
		r.body = strings.Repeat(fmt.Sprint(n%10), 100)
		t.wantFrom(site, t.wantHandled(t.on(c, r)))
		method, site = http.MethodHead, second
	}
	return t.visits.since(0)
}

func connectionKeptStrings(t *trial) {
	for _, v := range t.keep() {
		was, is := v.then.Request, v.seen.Request
		if is.Method != was.Method || is.Target != was.Target {
			t.Fatalf("the core was given %+q %+q, which is %+q %+q now", was.Method, was.Target, is.Method, is.Target)
		}
		if !slices.Equal(is.Authorization, was.Authorization) {
			t.Fatalf("the Authorization that the core was given with %+q is that of another request now", was.Target)
		}
	}
}

func connectionKeptPrincipal(t *trial) {
	for _, v := range t.keep() {
		if *v.seen.Principal != *v.then.Principal {
			t.Fatalf("the principal was %+v, and is %+v now", v.then.Principal, v.seen.Principal)
		}
		if got, ok := core.PrincipalFrom(v.ctx); !ok || *got != *v.then.Principal {
			t.Fatalf("the context had the principal %+v, and has %+v now", v.then.Principal, got)
		}
		if got := valueFrom(v.ctx); got != v.value || v.seen.Value != v.then.Value {
			t.Fatalf("the value of the middleware was %q, and is %q in the context and %q in the handler now",
				v.then.Value, got, v.seen.Value)
		}
	}
}

func connectionOneAfterAnother(t *trial) {
	a, b := t.site(), t.site()
	c := t.dial()
	refused := func(r request, reason core.ReasonCode) {
		t.wantRefused(t.on(c, r), http.StatusUnauthorized, reason)
	}
	long := t.path("/echo/" + strings.Repeat("long/", 100) + "?x=1")
	for range 3 {
		t.wantFrom(a, t.wantHandled(t.on(c, t.genuine(a, http.MethodGet, long))))
		// Nothing may be left of a's: neither its token nor its principal nor the end of its target.
		refused(request{method: http.MethodGet, target: long}, core.ReasonTokenMissing)
		t.wantFrom(b, t.wantHandled(t.on(c, t.genuine(b, http.MethodPut, t.path("/echo/b")))))
		refused(request{method: http.MethodGet, target: t.path("/api/me")}, core.ReasonTokenMissing)
		nonsense := request{method: http.MethodGet, target: t.path("/echo/b"), authorization: []string{"JWT b"}}
		refused(nonsense, core.ReasonTokenMalformed)

		v := t.wantHandled(t.on(c, request{method: http.MethodGet, target: t.path("/open")}))
		if v.seen.Principal != nil {
			t.Errorf("after requests of others, one without a token has a principal")
		}
		r := t.genuine(b, http.MethodPost, t.path("/echo/body"))
		for _, r.body = range []string{"a body", ""} {
			if got := t.wantHandled(t.on(c, r)).body; got != r.body {
				t.Errorf("the handler read the body %q, want %q", got, r.body)
			}
		}
	}
}

func connectionPipelined(t *trial) {
	sites := []*fakehost.Site{t.site(), t.site()}
	var requests []request
	for n := range 20 {
		r := t.genuine(sites[n%2], http.MethodPost, t.path(fmt.Sprintf("/echo/%d", n)))
		r.body, r.chunked = fmt.Sprint("body ", n), n%4 == 1
		if n%5 == 0 {
			r.authorization = nil
		}
		requests = append(requests, r)
	}
	c := t.dial()
	for _, r := range requests {
		if err := c.send(r.head() + r.framed()); err != nil {
			t.Fatalf("sending: %v", err)
		}
	}
	for n, r := range requests {
		a, err := c.receive(r.method)
		if err != nil {
			t.Fatalf("%v: got no answer: %v", r, err)
		}
		if r.authorization == nil {
			if a.status != http.StatusUnauthorized {
				t.Errorf("%v: got status %d, want 401", r, a.status)
			}
			continue
		}
		if err := t.checkAnswer(sites[n%2], r, a); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
}

// checkAnswer checks that a request was handled for its site, and this answer is the one to it.
func (t *trial) checkAnswer(site *fakehost.Site, r request, a answer) error {
	v, ok := t.visits.answered(a.body)
	switch p := v.then.Principal; {
	case a.status != http.StatusOK || !ok:
		return fmt.Errorf("got %d %q, want 200 from the handler", a.status, a.body)
	case v.then.Request.Target != r.target:
		return fmt.Errorf("got the answer to %+q", v.then.Request.Target)
	case p == nil || p.ClientKey != site.ClientKey():
		return fmt.Errorf("the handler saw the principal %+v, want %s", p, site.ClientKey())
	}
	if p, ok := core.PrincipalFrom(v.ctx); !ok || p.ClientKey != site.ClientKey() {
		return fmt.Errorf("the request's context has the principal %+v, want %s", p, site.ClientKey())
	}
	if v.body != r.body {
		return fmt.Errorf("the handler read the body %q, want %q", v.body, r.body)
	}
	return nil
}

// The crowd of the rule "tenants".
const (
	tenants   = 200
	lines     = 40
	callsEach = 20
)

func connectionTenants(t *trial) {
	sites := make([]*fakehost.Site, tenants)
	for n := range sites {
		sites[n] = t.site()
	}
	// Each connection sees another tenant with each request, and each tenant is on several connections.
	requests := make([][]request, lines)
	at := func(line, call int) *fakehost.Site { return sites[(line*callsEach+call*7)%tenants] }
	for line := range requests {
		for call := range callsEach {
			r := t.genuine(at(line, call), http.MethodPost, t.path(fmt.Sprintf("/echo/%d/%d", line, call)))
			r.body = fmt.Sprintf("body %d of %d", call, line)
			requests[line] = append(requests[line], r)
		}
	}
	conns := make([]*conn, lines)
	for line := range conns {
		conns[line] = t.dial()
	}
	errs := make([]error, lines)
	var group sync.WaitGroup
	for line, c := range conns {
		group.Go(func() {
			for call, r := range requests[line] {
				a, err := c.exchange(r)
				if err == nil {
					err = t.checkAnswer(at(line, call), r, a)
				}
				if err != nil {
					errs[line] = fmt.Errorf("%v: %w", r, err)
					return
				}
			}
		})
	}
	group.Wait()
	if n := slices.IndexFunc(errs, func(err error) bool { return err != nil }); n >= 0 {
		t.Errorf("%d tenants on %d connections: %v", tenants, lines, errs[n])
	}
}
