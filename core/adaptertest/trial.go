package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
)

const appKey = "com.example.adaptertest"

// trial is one rule put to the test on one app. Every failure quotes the rule.
type trial struct {
	tester
	rule    string
	at      place
	baseURL string
	app     *core.App
	past    *core.App // on the same store, for what need not come through the adapter
	store   *store
	journal *journal
	visits  *visits
	server  *server
	line    *conn // for what may come on any connection
}

func open(t tester, mount Mount, at place, rule string) *trial {
	t.Helper()
	trial := &trial{
		tester: t, rule: rule, at: at,
		baseURL: "https://" + host + at.prefix + at.slash,
		store:   &store{Store: memstore.New(), used: make(chan struct{}, 1)},
		journal: new(journal),
		visits:  new(visits),
	}
	config := core.Config{
		AppKey:       appKey,
		BaseURL:      trial.baseURL,
		Store:        trial.store,
		Paths:        at.paths,
		KeyHosts:     []string{"https://keys.example"},
		KeyTransport: keyHost{},
		CacheTTL:     -1, // so that each verification is a read, which can be counted and can fail
		MaxStale:     -1,
		Logger:       slog.New(trial.journal),
	}
	trial.app = trial.newApp(config)
	config.InsecureUnsignedFirstInstall = true // Atlassian's signatures take their time
	trial.past = trial.newApp(config)
	var err error
	trial.server, err = serve(mount(&Setup{App: trial.app, Prefix: at.prefix, visits: trial.visits}))
	if err != nil {
		t.Fatalf("adaptertest cannot listen: %v", err)
	}
	return trial
}

func (t *trial) newApp(config core.Config) *core.App {
	t.Helper()
	app, err := core.New(config)
	if err != nil {
		t.Fatalf("adaptertest made an invalid app: %v", err)
	}
	return app
}

func (t *trial) close() {
	t.Helper()
	if err := t.server.close(); err != nil {
		t.Errorf("the app's server: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(t.app.Close(ctx), t.past.Close(ctx)); err != nil {
		t.Errorf("closing the app: %v", err)
	}
}

func (t *trial) Errorf(format string, args ...any) {
	t.Helper()
	t.tester.Errorf("%s\n\trule: %s", fmt.Sprintf(format, args...), t.rule)
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Helper()
	t.tester.Fatalf("%s\n\trule: %s", fmt.Sprintf(format, args...), t.rule)
}

// path returns the target of a path below the prefix.
func (t *trial) path(below string) string { return t.at.prefix + below }

// row returns the site's installation, nil if there is none.
func (t *trial) row(site *fakehost.Site) *core.Installation {
	t.Helper()
	row, err := t.store.Store.Get(context.Background(), core.Key{AppKey: appKey, ClientKey: site.ClientKey()})
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("reading the store: %v", err)
	}
	return row
}

// exchange is a request with all that came of it.
type exchange struct {
	request
	answer   answer
	visits   []visit   // of handlers
	refusals []refusal // by the core
}

// do sends the request on any connection, and returns what came of it. Nothing else may be under way.
func (t *trial) do(r request) exchange {
	t.Helper()
	if t.line == nil {
		t.line = t.dial()
	}
	x := t.on(t.line, r)
	if x.answer.closed {
		t.line = nil
	}
	return x
}

// on is do on a connection of its own.
func (t *trial) on(c *conn, r request) exchange {
	t.Helper()
	visits, refusals := len(t.visits.since(0)), len(t.journal.since(0))
	a, err := c.exchange(r)
	if err != nil {
		t.Fatalf("%v: got no answer: %v", r, t.server.why(err))
	}
	return exchange{r, a, t.visits.since(visits), t.journal.since(refusals)}
}

func (t *trial) dial() *conn {
	t.Helper()
	c, err := t.server.dial(t.Context())
	if err != nil {
		t.Fatalf("connecting: %v", t.server.why(err))
	}
	return c
}

// gone waits until the app is done with a connection that the client has left.
func (t *trial) gone(c *conn) {
	t.Helper()
	select {
	case <-t.server.end(c.LocalAddr()).closed:
	case <-time.After(patience):
		t.Fatalf("the app does not let go of a connection that the client has closed")
	}
}

// wantHandled checks that the request was let through, once, and answered by the handler.
func (t *trial) wantHandled(x exchange) visit {
	t.Helper()
	if len(x.visits) != 1 || len(x.refusals) != 0 || x.answer.status != http.StatusOK {
		t.Fatalf("%v: got %s, want 200 from the handler", x.request, x)
	}
	v := x.visits[0]
	if answered, ok := t.visits.answered(x.answer.body); x.method != http.MethodHead && (!ok || answered.value != v.value) {
		t.Fatalf("%v: got the answer %q, want the text that Report returned", x.request, x.answer.body)
	}
	return v
}

// wantFrom checks that the handler saw the site.
func (t *trial) wantFrom(site *fakehost.Site, v visit) {
	t.Helper()
	switch p := v.then.Principal; {
	case p == nil:
		t.Fatalf("%v: the handler got no principal", requestOf(v))
	case p.ClientKey != site.ClientKey():
		t.Errorf("%v: the handler saw client key %s, want %s", requestOf(v), p.ClientKey, site.ClientKey())
	}
}

func requestOf(v visit) request {
	return request{method: v.then.Request.Method, target: v.then.Request.Target}
}

// wantRefused checks that the core refused the request, once, and that no handler ran.
func (t *trial) wantRefused(x exchange, status int, reason core.ReasonCode) {
	t.Helper()
	if len(x.visits) != 0 || len(x.refusals) != 1 || x.refusals[0].reason != reason || x.answer.status != status {
		t.Errorf("%v: got %s, want %d, refused for %q", x.request, x, status, reason)
	}
}

// String says what became of the request.
func (x exchange) String() string {
	if len(x.visits)+len(x.refusals) == 0 {
		return fmt.Sprintf("status %d without asking the core", x.answer.status)
	}
	var reasons []core.ReasonCode
	for _, r := range x.refusals {
		reasons = append(reasons, r.reason)
	}
	return fmt.Sprintf("status %d, %d refusals %q, %d runs of the handler", x.answer.status, len(reasons), reasons, len(x.visits))
}

// verdict is what the core says of the request when it is asked without the adapter.
func (t *trial) verdict(r request) error {
	_, err := t.app.Authenticate(context.Background(), r.core())
	return err
}

// wantVerdict checks that the adapter came to the core's verdict on the bytes of the request. It reports false if the
// framework stopped the request before.
func (t *trial) wantVerdict(x exchange) (reached bool) {
	t.Helper()
	if len(x.visits)+len(x.refusals) == 0 {
		if !x.answer.turnsAway() {
			t.Errorf("%v: got %s, want the core to be asked", x.request, x)
		}
		return false
	}
	if err := t.verdict(x.request); err != nil {
		t.wantRefused(x, core.StatusCode(err), core.Reason(err))
	} else {
		t.wantHandled(x)
	}
	return true
}
