package storetest

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

func TestRunPassesTheReferenceStore(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) core.Store { return memstore.New() })
}

// Every rule must work on a store that holds the rows of all others, and of earlier runs.
func TestRunPassesAStoreThatIsShared(t *testing.T) {
	t.Parallel()
	shared := memstore.New()
	for range 2 {
		Run(t, func(*testing.T) core.Store { return shared })
	}
}

// fault is a store that is right but for one thing, and the rules of which it must fail each. The faults of a topic are
// in the test file beside its rules.
type fault struct {
	name   string
	wrap   func(right core.Store) core.Store
	breaks []string
}

var faults = slices.Concat(getFaults, keyFaults, putFaults, deleteFaults, listFaults, findFaults, bindingFaults,
	touchFaults, claimFaults, revokeFaults, memoryFaults, contextFaults)

func TestEachFaultBreaksItsRules(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range f.breaks {
				wantBroken(t, name, f.wrap)
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

// A field that a store forgets is noticed, whichever it is.
func TestEachLostFieldBreaksARule(t *testing.T) {
	t.Parallel()
	lose := func(t *testing.T, rule string, zero func(*core.Installation)) {
		wantBroken(t, rule, func(right core.Store) core.Store { return altered{right, zero} })
	}
	for _, field := range leaves(reflect.TypeFor[core.Installation]()) {
		t.Run(field.Name, func(t *testing.T) {
			t.Parallel()
			rule := "Get/every field"
			if field.Type == reflect.TypeFor[core.Activity]() || strings.HasPrefix(field.Name, "Activity.") {
				rule = "Touch/records"
			}
			lose(t, rule, func(i *core.Installation) {
				reflect.ValueOf(i).Elem().FieldByIndex(field.Index).SetZero()
			})
		})
	}
	for _, field := range leaves(reflect.TypeFor[core.StoredSecret]()) {
		t.Run("Secrets."+field.Name, func(t *testing.T) {
			t.Parallel()
			lose(t, "Get/every field", func(i *core.Installation) {
				for n := range i.Secrets {
					reflect.ValueOf(&i.Secrets[n]).Elem().FieldByIndex(field.Index).SetZero()
				}
			})
		})
	}
}

// leaves returns the fields of a struct and, with a path for a name, those of the structs in it.
func leaves(of reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for field := range of.Fields() {
		all = append(all, field)
		if field.Type.Kind() != reflect.Struct || !field.Type.Field(0).IsExported() {
			continue
		}
		for _, inner := range leaves(field.Type) {
			inner.Name = field.Name + "." + inner.Name
			inner.Index = append(slices.Clone(field.Index), inner.Index...)
			all = append(all, inner)
		}
	}
	return all
}

// go doc must show the whole contract, in the words of the suite.
func TestThePackageCommentListsEachRule(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.Join(strings.Fields(file.Doc.Text()), " ")
	for name, r := range rules() {
		sentence, _, _ := strings.Cut(r.text, " (")
		if !strings.Contains(comment, sentence) {
			t.Errorf("the package comment lacks the rule %q: %s", name, sentence)
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

var placeInSuite = regexp.MustCompile(`\trule: .+\. \(\S*storetest/[a-z]+\.go:\d+\)$`)

// wantBroken checks that the store fails the rule, and that each failure quotes the rule and the place of it.
func wantBroken(t *testing.T, name string, wrap func(core.Store) core.Store) {
	t.Helper()
	r, ok := rules()[name]
	if !ok {
		t.Fatalf("there is no rule %q", name)
	}
	failures := try(t, r, wrap)
	if len(failures) == 0 {
		t.Errorf("%q passed, want a failure", name)
	}
	for _, failure := range failures {
		if !placeInSuite.MatchString(failure) || !strings.HasSuffix(failure, r.text) {
			t.Errorf("%q failed with %q, want the rule and its file and line at the end", name, failure)
		}
	}
}

// try puts one rule to the test and returns the failures. It does so in a bubble, where a store that pauses between
// reading and writing loses every race: time goes on only when all rivals are at the same point.
func try(t *testing.T, r rule, wrap func(core.Store) core.Store) (failures []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		recorder := &recorder{ctx: t.Context()}
		done := make(chan struct{})
		go func() {
			defer close(done) // also when Fatalf ends the goroutine
			r.test(recorder, wrap(memstore.New()))
		}()
		<-done
		failures = recorder.failures
	})
	return failures
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
