package faults

import (
	"context"
	"slices"

	"github.com/hostbond/hostbond/core"
)

// flow is one thing that an app does, as far as it needs its store.
type flow struct {
	name   string
	answer int // without a fault

	symmetric bool // the site signs its callbacks itself
	unsigned  bool // nobody signs: only a tenant that is not known may do that
	stale     bool // what was read before does when the store cannot be read
	direct    bool // the app is asked by its own code, and not over HTTP
	insists   bool // a conflict is met with another try, and a yes is a promise, as to a callback

	lookups int // calls that look for the secret which has signed, and so come before anything is believed

	prepare func(*world)                            // on another replica
	warm    func(*world)                            // on the replica under test, and again before each attempt
	act     func(context.Context, *world) int       // returns the status of the answer, 0 for none
	learnt  func(*world, *core.Installation) string // what the row lacks after all, "" if nothing; nil for callbacks
}

// callback reports whether the site waits for a yes that is a promise.
func (f *flow) callback() bool { return !f.direct && f.learnt == nil }

var flows = slices.Concat(signedFlows, pageFlows, symmetricFlows)
