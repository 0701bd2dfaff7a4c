package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestRunPassesARightAdapter(t *testing.T) {
	t.Parallel()
	Run(t, adapting(right))
}

// fault is an adapter that is right but for one thing, and the rules of which it must fail each. The faults of a topic
// are in the test file beside its rules.
type fault struct {
	name   string
	spoil  func(*adapter)
	breaks []string
}

var faults = slices.Concat(targetFaults, tokenFaults, handlerFaults, refusalFaults, connectionFaults, lifecycleFaults,
	clientFaults, descriptorFaults)

func TestEachFaultBreaksItsRules(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range f.breaks {
				wantBroken(t, name, f.spoil)
			}
		})
	}
}

func TestEachRuleIsBrokenByAFault(t *testing.T) {
	t.Parallel()
	for name := range rules() {
		if !slices.ContainsFunc(faults, func(f fault) bool { return slices.Contains(f.breaks, name) }) {
			t.Errorf("no fault breaks %q, so nothing shows that it can fail", name)
		}
	}
}

func TestTargetsReturnsWhatBecomesOfEach(t *testing.T) {
	t.Parallel()
	more := Target{Name: "one more", Method: "DELETE", Target: "/connect/echo/more"}
	targets := Targets(t, adapting(right), more)
	if want := len(oddities) + 1; len(targets) != want {
		t.Errorf("got %d targets, want %d", len(targets), want)
	}
	outcomes := map[string]string{}
	for _, target := range targets {
		outcomes[target.Method+" "+target.Target] = target.Outcome
	}
	for request, want := range map[string]string{
		"GET /connect/echo/a/b?x=1":                 Reached,
		"GET /connect/echo/a%2Fb":                   Reached,
		"GET /connect/echo//a":                      "307 to /connect/echo/a",
		"GET /connecter/echo/a":                     "404",
		"GET http://app.example/connect/echo/a?x=1": Reached,
		"get /connect/echo/a":                       Reached,
		"DELETE /connect/echo/more":                 Reached,
	} {
		if got := outcomes[request]; got != want {
			t.Errorf("%s: got %q, want %q", request, got, want)
		}
	}
}

func TestAnAppThatDoesNotServeIsReported(t *testing.T) {
	t.Parallel()
	broken := errors.New("no permission to listen")
	failures := failuresOf(t, rules()["Token/header"], func(*Setup) func(net.Listener) error {
		return func(net.Listener) error { return broken }
	}, places[0])
	if len(failures) != 1 || !strings.Contains(failures[0], broken.Error()) {
		t.Errorf("got %q, want one failure with the error of the app", failures)
	}
}

// go doc must show all that is tested, in the words of the suite.
func TestThePackageCommentListsEachRule(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.Join(strings.Fields(file.Doc.Text()), " ")
	for name, r := range rules() {
		sentence, _, _ := strings.Cut(r.text, " (")
		_, name, _ = strings.Cut(name, "/")
		if want := name + ": " + sentence; !strings.Contains(comment, want) {
			t.Errorf("the package comment lacks %q", want)
		}
	}
}

func rules() map[string]rule {
	all := make(map[string]rule)
	for _, topic := range suite {
		for _, r := range topic.rules {
			all[topic.name+"/"+r.name] = r
		}
	}
	return all
}

var placeInSuite = regexp.MustCompile(`\trule: .+\. \(\S*adaptertest/[a-z]+\.go:\d+\)$`)

// wantBroken checks that the adapter fails the rule, and that each failure quotes the rule and the place of it.
func wantBroken(t *testing.T, name string, spoil func(*adapter)) {
	t.Helper()
	r, ok := rules()[name]
	if !ok {
		t.Fatalf("there is no rule %q", name)
	}
	var failures []string
	for _, at := range places {
		failures = append(failures, failuresOf(t, r, adapting(spoil), at)...)
	}
	if len(failures) == 0 {
		t.Errorf("%q passed, want a failure", name)
	}
	for _, failure := range failures {
		if !placeInSuite.MatchString(failure) || !strings.HasSuffix(failure, r.text) {
			t.Errorf("%q failed with %q, want the rule and its file and line at the end", name, failure)
		}
	}
}

// failuresOf puts one rule to the test and returns the failures.
func failuresOf(t *testing.T, r rule, mount Mount, at place) []string {
	t.Helper()
	recorder := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done) // also when Fatalf ends the goroutine
		r.test(recorder, mount, at)
	}()
	<-done
	return recorder.failures
}

// recorder is a tester that keeps the failures to itself.
type recorder struct {
	ctx      context.Context
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
