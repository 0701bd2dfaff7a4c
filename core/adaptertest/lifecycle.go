package adaptertest

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

var lifecycleRules = []rule{
	{
		name:  "stored",
		text:  stated("A callback is answered with 204, without a body, and not before it is stored."),
		check: lifecycleStored,
	},
	{
		name:  "events",
		text:  stated("Each callback is handled as the event of its route."),
		check: lifecycleEvents,
	},
	{
		name:  "token",
		text:  stated("The token of a callback arrives in the header or the query, and is refused in both at once."),
		check: lifecycleToken,
	},
	{
		name:  "refused",
		text:  stated("A refused callback has the core's status, 401, 400, 409 or 503, no body, and nothing is stored."),
		check: lifecycleRefused,
	},
	{
		name:  "64 KiB",
		text:  stated("A body of 64 KiB is taken; with one byte more it is 413, chunked or not, and nothing is stored."),
		check: lifecycleSize,
	},
	{
		name:  "huge body",
		text:  stated("Of a body of 8 MiB no more than 6 MiB are read before it is refused, and nothing is stored."),
		check: lifecycleHugeBody,
	},
	{
		name:  "one after another",
		text:  stated("Of callbacks that follow each other on a connection, each is stored with what it has brought."),
		check: lifecycleOneAfterAnother,
	},
	{
		name:  "expect",
		text:  stated("A client that expects 100 Continue before it sends the body is told to go on."),
		check: lifecycleExpect,
	},
}

// fingerprint returns that of the secret which a callback offers.
func (t *trial) fingerprint(c *fakehost.Callback) core.Fingerprint {
	t.Helper()
	secret, err := core.NewSecret(c.Secret)
	if err != nil {
		t.Fatalf("adaptertest made an invalid secret: %v", err)
	}
	return secret.Fingerprint()
}

// wantApplied checks that a callback was applied.
func (t *trial) wantApplied(x exchange) {
	t.Helper()
	if x.answer.status != http.StatusNoContent || x.answer.body != "" || len(x.refusals) != 0 {
		t.Errorf("%v: got %s and the body %q, want 204 without a body", x.request, x, x.answer.body)
	}
}

// wantOffered checks that the row has the secret of the callback as its newest.
func (t *trial) wantOffered(site *fakehost.Site, c *fakehost.Callback) {
	t.Helper()
	row := t.row(site)
	if row == nil {
		t.Errorf("there is no installation, want one")
		return
	}
	if got, want := row.Newest(), t.fingerprint(c); got != want {
		t.Errorf("the newest secret is %s, want %s, which the callback has offered", got.Short(), want.Short())
	}
}

// wantNothing checks that nothing is stored of the site.
func (t *trial) wantNothing(site *fakehost.Site) {
	t.Helper()
	if row := t.row(site); row != nil {
		t.Errorf("there is an installation, of %s, want nothing to be stored", row.Site.BaseURL)
	}
}

func lifecycleStored(t *trial) {
	site := t.stranger()
	install := site.Callback(fakehost.Installed)
	var early atomic.Bool
	look := func() {
		if t.row(site) == nil {
			early.Store(true)
		}
	}
	t.server.beforeWrite.Store(&look)
	x := t.do(t.callback(install))
	t.server.beforeWrite.Store(nil)
	t.wantApplied(x)
	t.wantOffered(site, install)
	if early.Load() {
		t.Errorf("%v: the answer left before the installation was stored", x.request)
	}
}

func lifecycleEvents(t *trial) {
	site := t.site()
	for _, step := range []struct {
		event    fakehost.Event
		state    core.State
		disabled bool
	}{
		{fakehost.Disabled, core.Installed, true},
		{fakehost.Enabled, core.Installed, false},
		{fakehost.Uninstalled, core.Uninstalled, false},
		{fakehost.Installed, core.Installed, false},
	} {
		t.wantApplied(t.do(t.callback(site.Callback(step.event))))
		if row := t.row(site); row.State != step.state || row.Disabled != step.disabled {
			t.Errorf("after %s the installation is %s (disabled: %t), want %s (disabled: %t)",
				step.event, row.State, row.Disabled, step.state, step.disabled)
		}
	}
}

func lifecycleToken(t *trial) {
	site := t.stranger()
	inHeader := t.callback(site.Callback(fakehost.Installed))
	token := strings.TrimPrefix(inHeader.authorization[0], "JWT ")

	inBoth := inHeader
	inBoth.target += "?jwt=" + token
	t.wantRefused(t.do(inBoth), http.StatusUnauthorized, core.ReasonTokenAmbiguous)
	twice := inHeader
	twice.authorization = append(twice.authorization, "JWT other")
	t.wantRefused(t.do(twice), http.StatusUnauthorized, core.ReasonTokenAmbiguous)
	otherURL := inHeader
	otherURL.target += "?x=1"
	t.wantRefused(t.do(otherURL), http.StatusUnauthorized, core.ReasonQueryHash)
	t.wantNothing(site)

	inQuery := inBoth
	inQuery.authorization = nil
	t.wantApplied(t.do(inQuery))
}

func lifecycleRefused(t *trial) {
	refused := func(status int, reason core.ReasonCode, change func(*fakehost.Callback, *request)) {
		site := t.stranger()
		c := site.Callback(fakehost.Installed)
		r := t.callback(c)
		change(c, &r)
		x := t.do(r)
		t.wantRefused(x, status, reason)
		if x.answer.body != "" {
			t.Errorf("%v: the refusal has the body %q, want none", r, x.answer.body)
		}
		t.wantNothing(site)
	}
	refused(http.StatusUnauthorized, core.ReasonTokenMissing, func(_ *fakehost.Callback, r *request) {
		r.authorization = nil
	})
	refused(http.StatusUnauthorized, core.ReasonBadSignature, func(_ *fakehost.Callback, r *request) {
		r.authorization[0] = spoiled(r.authorization[0])
	})
	refused(http.StatusBadRequest, core.ReasonBody, func(_ *fakehost.Callback, r *request) {
		r.body = r.body[:len(r.body)-1]
	})
	refused(http.StatusBadRequest, core.ReasonEventType, func(c *fakehost.Callback, r *request) {
		c.Payload["eventType"] = "enabled"
		*r = t.callback(c)
	})

	site := t.site()
	late := site.Callback(fakehost.Installed)
	late.Token.Claims["iat"] = time.Now().Add(-time.Minute).Unix()
	before := t.row(site).Revision
	t.wantRefused(t.do(t.callback(late)), http.StatusConflict, core.ReasonStale)
	if after := t.row(site).Revision; after != before {
		t.Errorf("a refused callback took the installation from revision %d to %d", before, after)
	}

	t.store.down.Store(true)
	refused(http.StatusServiceUnavailable, core.ReasonStore, func(*fakehost.Callback, *request) {})
}

// spoiled returns the token with another signature.
func spoiled(token string) string {
	head, signature := token[:strings.LastIndexByte(token, '.')+1], token[strings.LastIndexByte(token, '.')+1:]
	first := "A"
	if signature[0] == 'A' {
		first = "B"
	}
	return head + first + signature[1:]
}

// maxBody is the largest body of a callback.
const maxBody = 64 << 10

func lifecycleSize(t *trial) {
	for _, chunked := range []bool{false, true} {
		site := t.stranger()
		install := site.Callback(fakehost.Installed)
		r := t.callback(install)
		r.chunked = chunked
		r.body += strings.Repeat(" ", maxBody+1-len(r.body))
		t.wantRefused(t.do(r), http.StatusRequestEntityTooLarge, core.ReasonBodyTooLarge)
		t.wantNothing(site)

		r.body = r.body[:maxBody]
		t.wantApplied(t.do(r))
		t.wantOffered(site, install)
	}
}

// Of a huge body that much is sent, and no more than that much may be read.
const (
	huge    = 8 << 20
	maxHuge = 6 << 20
)

func lifecycleHugeBody(t *trial) {
	for _, chunked := range []bool{false, true} {
		site := t.stranger()
		r := t.callback(site.Callback(fakehost.Installed))
		r.chunked = chunked
		r.body += strings.Repeat(" ", huge-len(r.body))
		c := t.dial()
		text := r.head() + r.framed()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_ = c.send(text) // fails when the app has enough
		}()
		// An app that just hangs up has refused, too, as far as a site can see.
		if a, err := c.receive(r.method); err == nil && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%v: got status %d for %d MiB, want 413", r, a.status, huge>>20)
		}
		if read := t.server.end(c.LocalAddr()).read.Load(); read > maxHuge {
			t.Errorf("%v: the app read %d MiB before it answered, want at most %d", r, read>>20, maxHuge>>20)
		}
		_ = c.Close()
		<-sent
		t.wantNothing(site)
	}
}

func lifecycleOneAfterAnother(t *trial) {
	type install struct {
		site *fakehost.Site
		*fakehost.Callback
	}
	var installs []install
	c := t.dial()
	for n := range 10 {
		site := t.stranger()
		callback := site.Callback(fakehost.Installed)
		callback.Payload["description"] = strings.Repeat(fmt.Sprint(n), 20+n%3)
		installs = append(installs, install{site, callback})
		t.wantApplied(t.on(c, t.callback(callback)))
	}
	for _, i := range installs {
		t.wantOffered(i.site, i.Callback)
		if row := t.row(i.site); row != nil && row.Site.Description != i.Payload["description"] {
			t.Errorf("the description is %q, want %q", row.Site.Description, i.Payload["description"])
		}
	}
}

func lifecycleExpect(t *trial) {
	site := t.stranger()
	install := site.Callback(fakehost.Installed)
	r := t.callback(install)
	r.fields = append(r.fields, "Expect: 100-continue")
	c := t.dial()
	if err := c.send(r.head()); err != nil {
		t.Fatalf("sending: %v", err)
	}
	if a, err := c.receive(r.method); err != nil || a.status != http.StatusContinue {
		t.Fatalf("got status %d and the error %v, want 100", a.status, err)
	}
	if err := c.send(r.framed()); err != nil {
		t.Fatalf("sending: %v", err)
	}
	if a, err := c.receive(r.method); err != nil || a.status != http.StatusNoContent {
		t.Errorf("got status %d and the error %v, want 204", a.status, err)
	}
	t.wantOffered(site, install)
}
