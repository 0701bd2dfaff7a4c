package adaptertest

import (
	"net/http"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

var handlerRules = []rule{
	{
		name:  "principal",
		text:  stated("A handler gets the principal from the adapter and, the same one, from the request's own context."),
		check: handlerPrincipal,
	},
	{
		name:  "no principal",
		text:  stated("On a route without Authenticate there is no principal, though the request carries a genuine token."),
		check: handlerNoPrincipal,
	},
	{
		name:  "earlier values",
		text:  stated("What earlier middleware has kept is still there, in the framework's way and in the request's context."),
		check: handlerEarlierValues,
	},
	{
		name:  "core's context",
		text:  stated("The core gets the request's context, with what earlier middleware has put into it."),
		check: handlerCoreContext,
	},
	{
		name:  "body",
		text:  stated("Authenticate leaves the body to the handler, whole, chunked or not."),
		check: handlerBody,
	},
	{
		name:  "refused",
		text:  stated("The handler does not run after a refusal, whatever the reason."),
		check: handlerRefused,
	},
	{
		name:  "token kinds",
		text:  stated("A route takes the kinds of token that it was given, or else none but URL-bound ones."),
		check: handlerTokenKinds,
	},
	{
		name:  "nested",
		text:  stated("A nested Authenticate re-uses the principal if it accepts its kind, and else verifies anew."),
		check: handlerNested,
	},
}

func handlerPrincipal(t *trial) {
	site := t.site()
	r := t.genuine(site, http.MethodGet, t.path("/echo/page"))
	want, err := t.app.Authenticate(t.Context(), r.core())
	if err != nil {
		t.Fatalf("adaptertest made an invalid token: %v", err)
	}
	v := t.wantHandled(t.do(r))
	t.wantFrom(site, v)
	if got := v.then.Principal; public(got) != public(want) {
		t.Errorf("the handler got the principal %+v, want %+v", public(got), public(want))
	}
	if got, ok := core.PrincipalFrom(v.ctx); !ok || got != v.seen.Principal {
		t.Errorf("the request's context has the principal %p, want %p, which the adapter gave", got, v.seen.Principal)
	}
}

// public returns the principal without what the core keeps with it, for comparisons.
func public(p *core.Principal) core.Principal {
	return core.Principal{
		AppKey: p.AppKey, ClientKey: p.ClientKey, AccountID: p.AccountID, Kind: p.Kind,
		Fingerprint: p.Fingerprint, IssuedAt: p.IssuedAt, ExpiresAt: p.ExpiresAt,
	}
}

func handlerNoPrincipal(t *trial) {
	site := t.site()
	v := t.wantHandled(t.do(t.genuine(site, http.MethodGet, t.path("/open"))))
	if _, ok := core.PrincipalFrom(v.ctx); ok || v.seen.Principal != nil {
		t.Errorf("%v: there is a principal, want none", requestOf(v))
	}
}

func handlerEarlierValues(t *trial) {
	site := t.site()
	for _, r := range []request{
		t.genuine(site, http.MethodGet, t.path("/open")),
		t.genuine(site, http.MethodGet, t.path("/echo/page")),
		t.genuine(site, http.MethodGet, t.path("/nested")),
	} {
		v := t.wantHandled(t.do(r))
		if v.value == "" || v.then.Value != v.value {
			t.Errorf("%v: got the value %q, and %q in the request's context, want what Before returned in both",
				r, v.then.Value, v.value)
		}
	}
}

func handlerCoreContext(t *trial) {
	requests := []request{{method: http.MethodGet, target: t.path("/echo/page")}}
	for _, route := range t.app.Routes() {
		if route.Event != "" {
			requests = append(requests, request{method: route.Method, target: t.path(route.Path)})
		}
	}
	for _, r := range requests {
		x := t.do(r)
		t.wantRefused(x, http.StatusUnauthorized, core.ReasonTokenMissing)
		for _, refusal := range x.refusals {
			if refusal.value == "" {
				t.Errorf("%v: the context of the core lacks what Before put into that of the request", r)
			}
		}
	}
}

func handlerBody(t *trial) {
	site := t.site()
	for _, body := range []string{"", "a body", strings.Repeat("a long body ", 10_000)} {
		for _, chunked := range []bool{false, true} {
			r := t.genuine(site, http.MethodPost, t.path("/echo/page"))
			r.body, r.chunked = body, chunked
			v := t.wantHandled(t.do(r))
			if got := v.body; got != body {
				t.Errorf("the handler read a body of %d bytes, want the %d that were sent (chunked: %t)",
					len(got), len(body), chunked)
			}
		}
	}
}

// mistakes returns requests for a URL-bound route that are refused, by what is wrong with them.
func (t *trial) mistakes() map[string]request {
	t.Helper()
	site, other := t.site(), t.site()
	target := t.path("/echo/page?x=1")
	genuine := t.genuine(site, http.MethodGet, target)
	with := func(authorization ...string) request {
		return request{method: http.MethodGet, target: target, authorization: authorization}
	}
	forged := func(change func(claims map[string]any)) request {
		token := site.Token(http.MethodGet, "/echo/page?x=1")
		change(token.Claims)
		return with("JWT " + t.signed(token))
	}
	stolen := site.Token(http.MethodGet, "/echo/page?x=1")
	stolen.Key = []byte(other.Secret())
	return map[string]request{
		"no token":        with(),
		"two tokens":      with(genuine.authorization[0], genuine.authorization[0]),
		"no JWT":          with("JWT nonsense"),
		"wrong signature": with("JWT " + t.signed(stolen)),
		"unknown tenant":  forged(func(claims map[string]any) { claims["iss"] = t.stranger().ClientKey() }),
		"expired":         forged(func(claims map[string]any) { claims["iat"], claims["exp"] = 1e9, 1e9+60 }),
		"no query hash":   forged(func(claims map[string]any) { delete(claims, "qsh") }),
		"other URL":       with(t.genuine(site, http.MethodGet, t.path("/echo/other")).authorization...),
		"other method":    with(t.genuine(site, http.MethodPost, target).authorization...),
		"context token":   with("JWT " + t.signed(site.ContextToken())),
	}
}

func handlerRefused(t *trial) {
	for name, r := range t.mistakes() {
		x := t.do(r)
		if len(x.visits) > 0 {
			t.Errorf("%s: the handler ran", name)
		}
		if len(x.refusals) == 0 {
			t.Errorf("%s: got %s, want a refusal of the core", name, x)
		}
	}
	site := t.site()
	t.store.down.Store(true)
	if x := t.do(t.genuine(site, http.MethodGet, t.path("/echo/page"))); len(x.visits) > 0 {
		t.Errorf("while the store is down the handler ran")
	}
}

func handlerTokenKinds(t *trial) {
	site := t.site()
	context := []string{"JWT " + t.signed(site.ContextToken())}
	api := request{method: http.MethodGet, target: t.path("/api/me?x=1"), authorization: context}
	v := t.wantHandled(t.do(api))
	t.wantFrom(site, v)
	if got := v.then.Principal.Kind; got != core.ContextToken {
		t.Errorf("%v: got a principal of kind %q, want %q", api, got, core.ContextToken)
	}
	t.wantRefused(t.do(t.genuine(site, http.MethodGet, api.target)), http.StatusUnauthorized, core.ReasonTokenKind)

	page := request{method: http.MethodGet, target: t.path("/echo/page"), authorization: context}
	t.wantRefused(t.do(page), http.StatusUnauthorized, core.ReasonTokenKind)
}

func handlerNested(t *trial) {
	site := t.site()
	reads := func(target string) int64 {
		before := t.store.reads.Load()
		t.wantFrom(site, t.wantHandled(t.do(t.genuine(site, http.MethodGet, target))))
		return t.store.reads.Load() - before
	}
	reads(t.path("/echo/page")) // the first use of a secret is recorded, for which the row is read once more
	t.wantUsed()
	if once, nested := reads(t.path("/echo/page")), reads(t.path("/nested")); once != nested {
		t.Errorf("the store was read %d times with a nested Authenticate, want %d as without", nested, once)
	}
	// The outer one takes a context token, the inner one does not.
	t.wantRefused(t.do(request{
		method: http.MethodGet, target: t.path("/nested"), authorization: []string{"JWT " + t.signed(site.ContextToken())},
	}), http.StatusUnauthorized, core.ReasonTokenKind)
}

// wantUsed waits until the app has recorded that the site uses its secret.
func (t *trial) wantUsed() {
	t.Helper()
	select {
	case <-t.store.used:
	case <-time.After(patience):
		t.Fatalf("the first use of the site's secret was not recorded within %v", patience)
	}
}
