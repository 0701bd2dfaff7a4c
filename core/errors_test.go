package core

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/qsh"
)

// statuses are what the caller sees of each reason.
var statuses = map[int][]ReasonCode{
	http.StatusUnauthorized: {
		ReasonTokenMissing, ReasonTokenAmbiguous, ReasonTokenMalformed, ReasonHeader, ReasonAlgorithm, ReasonClaims,
		ReasonUnknownTenant, ReasonNotInstalled, ReasonBadSignature, ReasonRetired, ReasonRevoked, ReasonUnknownKey,
		ReasonExpired, ReasonNotYetValid, ReasonTokenLife, ReasonQueryHash, ReasonTokenKind, ReasonAudience,
		ReasonClientKey, ReasonAppKey, ReasonBodyChanged,
	},
	http.StatusBadRequest:            {ReasonBody, ReasonEventType, ReasonBaseURL, ReasonSecretMissing, ReasonSecretInvalid},
	http.StatusRequestEntityTooLarge: {ReasonBodyTooLarge},
	http.StatusConflict:              {ReasonStale},
	http.StatusServiceUnavailable: {
		ReasonStore, ReasonKeyHost, ReasonOverload, ReasonUnreadable, ReasonNotConfigured, ReasonSecretsFull, ReasonBusy, ReasonClosed,
	},
}

func TestEachReasonHasItsStatus(t *testing.T) {
	t.Parallel()
	for status, reasons := range statuses {
		for _, reason := range reasons {
			err := fmt.Errorf("wrapped: %w", refuse(reason, ""))
			if got := StatusCode(err); got != status {
				t.Errorf("%s: got status %d, want %d", reason, got, status)
			}
			if got := Reason(err); got != reason {
				t.Errorf("got reason %q, want %q", got, reason)
			}
		}
	}
}

// The set is closed: what is declared is what is tested above, and no two are the same.
func TestTheReasonsAreTheseAndNoOthers(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []ReasonCode
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Reason") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, ReasonCode(value))
		}
		return true
	})
	tested := slices.Concat(slices.Collect(maps.Values(statuses))...)
	slices.Sort(declared)
	slices.Sort(tested)
	if len(declared) == 0 || !slices.Equal(declared, tested) {
		t.Errorf("declared %q\ntested   %q", declared, tested)
	}
	if unique := slices.Compact(slices.Clone(declared)); len(unique) != len(declared) {
		t.Errorf("two reasons are the same: %q", declared)
	}
	for _, reason := range declared {
		if strings.Trim(string(reason), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("%q does not fit as the value of a metric's label", reason)
		}
	}
}

func TestAnotherErrorIsNoRefusal(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("other"), ErrNotFound, &QueryHashMismatch{}} {
		if reason, status, id := Reason(err), StatusCode(err), CorrelationID(err); reason != "" || status != 500 || id != "" {
			t.Errorf("%v: got %q, %d, %q; want none, 500, none", err, reason, status, id)
		}
		if got, want := RefusalHeader(err), map[string]string{"Cache-Control": "no-store"}; !maps.Equal(got, want) {
			t.Errorf("%v: header: got %v, want %v", err, got, want)
		}
	}
}

func TestTheHeaderOfARefusalDoesNotTellWhy(t *testing.T) {
	t.Parallel()
	for status, reasons := range statuses {
		want := map[string]string{"Cache-Control": "no-store", "X-Correlation-Id": "0123456789abcdef"}
		if status == http.StatusUnauthorized {
			want["Www-Authenticate"] = "JWT"
		}
		for _, reason := range reasons {
			refusal := refuse(reason, "detail")
			refusal.correlationID = "0123456789abcdef"
			if got := RefusalHeader(refusal); !maps.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", reason, got, want)
			}
			for name := range want {
				if http.CanonicalHeaderKey(name) != name {
					t.Errorf("%s is not in canonical form, and would not replace a header that is", name)
				}
			}
		}
	}
}

func TestARefusalSaysItsReasonAndNothingOfItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.1: hunter2")
	refusal := refuse(ReasonStore, "the installation could not be read").because(cause)
	refusal.clientKey = "client-1"
	refusal.correlationID = "0123456789abcdef"
	want := "hostbond: refused: store: the installation could not be read (correlation id 0123456789abcdef)"
	if got := refusal.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(refusal, cause) {
		t.Error("errors.Is does not find the cause")
	}
	if got, want := refuse(ReasonExpired, "").Error(), "hostbond: refused: expired"; got != want {
		t.Errorf("without a detail: got %q, want %q", got, want)
	}
}

func TestAQueryHashMismatchIsFoundAndShowsBothCanonicalRequests(t *testing.T) {
	t.Parallel()
	mismatch := &QueryHashMismatch{qsh.Mismatch{Canonical: "GET&/a%20b&x=1", Decoded: "GET&/a b&x=1"}}
	err := fmt.Errorf("wrapped: %w", refuse(ReasonQueryHash, "").because(mismatch))
	found, ok := errors.AsType[*QueryHashMismatch](err)
	if !ok || found != mismatch {
		t.Fatalf("got %v, %v; want the mismatch", found, ok)
	}
	for _, canonical := range []string{mismatch.Canonical, mismatch.Decoded} {
		if !strings.Contains(found.Error(), strconv.Quote(canonical)) {
			t.Errorf("got %q, want it to show %q", found.Error(), canonical)
		}
	}
	if strings.Contains(err.Error(), "GET&") {
		t.Errorf("the refusal shows the request: %v", err)
	}
}
