package adaptertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/hostbond/hostbond/core"
)

// Mount builds an app of the adapter's framework as [Setup] says, and returns what serves it: a function that works
// on the listener until that is closed.
type Mount func(*Setup) (serve func(net.Listener) error)

// Setup says what a [Mount] builds. All of it lies below Prefix, which is "" or a path such as "/connect", for a group
// or a sub-router of the framework:
//
//   - Before everything else, middleware that calls Before and keeps its value as users of the framework keep values.
//   - The routes that sites call, by the adapter's Mount of App.
//   - /echo/ and whatever follows, for any method: the adapter's Authenticate for App, then the handler.
//   - GET /api/me: Authenticate for core.ContextToken, then the handler.
//   - GET /nested: Authenticate for core.URLBound and core.ContextToken, Authenticate for the default, the handler.
//   - GET /open: the handler alone.
//
// The handler is the same on all routes. It answers 200 with the text that Report returns.
type Setup struct {
	App    *core.App
	Prefix string

	visits *visits
}

// Seen is what a handler sees of a request.
type Seen struct {
	// Request is what the adapter hands to the core, made by the function that makes it. Its Body is not looked at.
	Request core.Request

	// Principal is what the adapter gives to handlers, nil on a route without Authenticate.
	Principal *core.Principal

	// Value is what the middleware has kept.
	Value string

	// Body is what a handler reads the body from. Report reads it.
	Body io.Reader
}

// Before is called by the middleware with the context of the request. The request goes on with the context that it
// returns; the value is unlike that of any other request.
func (s *Setup) Before(ctx context.Context) (_ context.Context, value string) {
	return s.visits.begin(ctx)
}

// Report is called by the handler with the context of the request and what it sees. It returns the text to answer.
func (s *Setup) Report(ctx context.Context, seen Seen) (answer string) {
	return s.visits.add(ctx, seen)
}

// Run tests an adapter: one subtest for each rule of the package comment, first on an app that is mounted at the root,
// then on one below a path, with lifecycle routes of other names. It calls mount once for each subtest. What the
// framework stops before the adapter is asked is logged; [Targets] returns it.
func Run(t *testing.T, mount Mount) {
	for _, site := range places {
		t.Run(site.name, func(t *testing.T) {
			for _, topic := range suite {
				t.Run(topic.name, func(t *testing.T) {
					for _, r := range topic.rules {
						t.Run(r.name, func(t *testing.T) { r.test(t, mount, site) })
					}
				})
			}
		})
	}
	for _, target := range Targets(t, mount) {
		if target.Outcome != Reached {
			t.Logf("%s (%s) never reaches the adapter: %s", target.Name, target.Method, target.Outcome)
		}
	}
}

// suite is all that the package tests, in the order in which the package comment lists it.
var suite = []struct {
	name  string
	rules []rule
}{
	{"Target", targetRules},
	{"Token", tokenRules},
	{"Handler", handlerRules},
	{"Refusal", refusalRules},
	{"Connection", connectionRules},
	{"Lifecycle", lifecycleRules},
	{"Client", clientRules},
	{"Descriptor", descriptorRules},
}

// place is where the app is mounted.
type place struct {
	name   string
	prefix string
	slash  string // at the end of the configured base URL
	paths  core.Paths
}

var places = []place{
	{name: "root"},
	{
		name: "prefix", prefix: "/connect", slash: "/",
		paths: core.Paths{
			Descriptor: "/meta/descriptor.json",
			Installed:  "/lifecycle/in", Uninstalled: "/lifecycle/out",
			Enabled: "/lifecycle/on", Disabled: "/lifecycle/off",
		},
	},
}

// rule is one sentence of what an adapter must do, and the test of it.
type rule struct {
	name  string // of the subtest
	text  string // the sentence, with the place in this package that says so
	check func(*trial)
}

func (r rule) test(t tester, mount Mount, at place) {
	trial := open(t, mount, at, r.text)
	defer trial.close()
	r.check(trial)
}

// stated adds to the text of a rule the file and the line of its caller, so that a failure leads to the test.
func stated(text string) string {
	_, file, line, ok := runtime.Caller(1)
	if !ok {
		panic("adaptertest: no caller")
	}
	return fmt.Sprintf("%s (%s:%d)", text, file, line)
}

// tester is the part of [testing.T] that the rules need. It is an interface so that the suite can be tested itself:
// with adapters that break a rule, whose failures must not be those of the outer test.
type tester interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
