package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
)

// Run tests the store that open returns against the contract of [core.Store]: one subtest for each rule of the package
// comment. It calls open once for each rule. The store need not be empty, since every rule works under app keys of its
// own, which no other rule and no earlier run has used.
func Run(t *testing.T, open func(*testing.T) core.Store) {
	for _, topic := range suite {
		t.Run(topic.name, func(t *testing.T) {
			for _, r := range topic.rules {
				t.Run(r.name, func(t *testing.T) { r.test(t, open(t)) })
			}
		})
	}
}

// suite is all that the package tests, in the order in which the package comment lists it.
var suite = []struct {
	name  string
	rules []rule
}{
	{"Get", getRules},
	{"Keys", keyRules},
	{"Put", putRules},
	{"Delete", deleteRules},
	{"List", listRules},
	{"Find", findRules},
	{"Bindings", bindingRules},
	{"Touch", touchRules},
	{"Claim", claimRules},
	{"Revoke", revokeRules},
	{"Memory", memoryRules},
	{"Context", contextRules},
}

// rule is one sentence of the contract and the test of it.
type rule struct {
	name  string // of the subtest
	text  string // what a store must do, with the place in this package that says so
	check func(*trial)
}

func (r rule) test(t tester, store core.Store) {
	r.check(&trial{
		tester: t,
		store:  store,
		app:    "storetest." + strings.ToLower(rand.Text()),
		rule:   r.text,
	})
}

// stated adds to the text of a rule the file and the line of its caller, so that a failure leads to the test.
func stated(text string) string {
	_, file, line, ok := runtime.Caller(1)
	if !ok {
		panic("storetest: no caller")
	}
	return fmt.Sprintf("%s (%s:%d)", text, file, line)
}

// tester is the part of [testing.T] that the rules need. It is an interface so that the suite can be tested itself:
// with stores that break a rule, whose failures must not be those of the outer test.
type tester interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
