package qsh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/qsh"
)

func TestDiagnoseNamesTheNearMiss(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		signed                   string // a canonical request
		method, target, basePath string
		want                     string
	}{
		// Prefixes.
		{"GET&/app/a&x=1", "GET", "/app/a?x=1", "/app", "with the base path /app left in place"},
		{"GET&/app/a&x=1", "GET", "/a?x=1", "/app/", "with the base path /app in front"},
		{"GET&/a&x=1", "GET", "/app/a?x=1", "", "without the prefix /app"},
		{"GET&/a&x=1", "GET", "/proxy/app/a?x=1", "/app", "without the prefix /proxy/app"},
		{"GET&/a&", "GET", "/app/v1/a", "/app", "without the prefix /app/v1"},
		{"GET&/&", "GET", "/app", "", "without the prefix /app"},
		{"GET&/a b&", "GET", "/app/a%20b", "", "without the prefix /app"},
		{"GET&/5&", "GET", "/1/2/3/4/5", "", "without the prefix /1/2/3/4"},
		{"GET&/6&", "GET", "/1/2/3/4/5/6", "", ""},

		// Methods.
		{"GET&/a&", "HEAD", "/a", "", "with the method GET instead of HEAD"},
		{"POST&/a&", "get", "/a", "", "with the method POST instead of GET"},
		{"BREW&/a&", "GET", "/a", "", ""},

		// Paths.
		{"GET&/a/&x=1", "GET", "/a/?x=1", "", "with a slash at the end of the path"},
		{"GET&/a/&x=1", "GET", "/a?x=1", "", "with a slash at the end of the path"},
		{"GET&/A&", "GET", "/a", "", ""},

		// Queries.
		{"GET&/a&", "GET", "/a?x=1&y=2", "", "without the query"},
		{"GET&/a&x=1%2B2", "GET", "/a?x=1+2", "", `with "+" in the query as a plus sign, not as a space`},
		{"GET&/a b&x=1%20%2B", "GET", "/a%2520b?x=1%2520%252B", "", "with the target percent-encoded once, not twice"},
		{"GET&/a&x=1&z=3", "GET", "/a?x=1&y+=2&z=3", "", `without the parameter "y+"`},
		{"GET&/a&x=1&z=3", "GET", "/a?x=1&y=2&z=3&w=4", "", ""},
		{"GET&/a&x=1", "GET", "/a?x=2", "", ""},
		{"GET&/a&x=1", "GET", "/a", "", ""},

		// Orders.
		{"GET&/a&a0=2&a%3A=1", "GET", "/a?a%3A=1&a0=2", "", "with the parameters sorted by their decoded names"},
		{"GET&/a b&a0=2&a%3A=1", "GET", "/a%20b?a%3A=1&a0=2", "", "with the parameters sorted by their decoded names"},
		{
			"GET&/a&x=%3A1,.1", "GET", "/a?x=.1&x=:1", "",
			"with the values of a repeated parameter sorted by their encoded form",
		}, {
			"GET&/a&x=2,1,3", "GET", "/a?x=2&x=1&x=3", "",
			"with the values of a repeated parameter in the order of the query",
		},
	} {
		claim := sha256Hex(test.signed)
		if qsh.Match(claim, test.method, test.target, test.basePath) {
			t.Errorf("signed %q: Match(%q, %q, %q): got true, want a near miss",
				test.signed, test.method, test.target, test.basePath)
		}
		want := test.want
		if want != "" {
			want = "would match " + want
		}
		if got := qsh.Diagnose(claim, test.method, test.target, test.basePath).NearMiss; got != want {
			t.Errorf("signed %q: Diagnose(%q, %q, %q): got near miss %q, want %q",
				test.signed, test.method, test.target, test.basePath, got, want)
		}
	}

	// More values than any sort takes for few.
	var query, x, y string
	for i := range 40 {
		query += fmt.Sprintf("&y=%d&x=%d", 99-i, 99-i)
		x, y = x+fmt.Sprintf(",%d", 99-i), y+fmt.Sprintf(",%d", 99-i)
	}
	claim := sha256Hex("GET&/a&x=" + x[1:] + "&y=" + y[1:])
	want := "would match with the values of a repeated parameter in the order of the query"
	if got := qsh.Diagnose(claim, "GET", "/a?"+query, "").NearMiss; got != want {
		t.Errorf("many values: got near miss %q, want %q", got, want)
	}

	upper := strings.ToUpper(qsh.Hash("GET", "/a", ""))
	if got, want := qsh.Diagnose(upper, "GET", "/a", "").NearMiss, "would match with the claim in lower case"; got != want {
		t.Errorf("claim in upper case: got near miss %q, want %q", got, want)
	}
}

func TestDiagnoseShowsBothForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, target, canonical, decoded string }{
		{"a path without an escape has one form", "/app/a?b=c", "GET&/a&b=c", ""},
		{"one with an escape has two", "/app/a%20b?c=%20d", "GET&/a%20b&c=%20d", "GET&/a b&c=%20d"},
		{"of which the decoded one may be the same", "/app/a%26b", "GET&/a%26b&", ""},
	} {
		got := qsh.Diagnose("", "GET", test.target, "/app")
		if got != (qsh.Mismatch{Canonical: test.canonical, Decoded: test.decoded}) {
			t.Errorf("%s: got %+v, want %q and %q", test.rule, got, test.canonical, test.decoded)
		}
	}
}

func TestDiagnoseHoldsNoToken(t *testing.T) {
	t.Parallel()
	const token = "header.claims.signature"
	for _, target := range []string{
		"/a%20b?jwt=" + token,
		"/a%20b?x=1&jwt=" + token + "&y=2",
		"/a%20b?j%77t=" + token,
		"https://host/a%20b?jwt=" + token,
	} {
		// No parameter that holds the token is a near miss either, so every search is run to its end.
		m := qsh.Diagnose(sha256Hex("another request"), "GET", target, "/app")
		if text := m.Canonical + m.Decoded + m.NearMiss; strings.Contains(text, "signature") {
			t.Errorf("Diagnose of %q: got %+v, want no token in it", target, m)
		}
	}
}

func TestDiagnoseSearchesWithinBounds(t *testing.T) {
	t.Parallel()
	const added = "&added=1"
	for _, test := range []struct {
		rule, query string
		found       bool
	}{
		{"31 parameters and the one", strings.Repeat("&x=1", 31)[1:], true},
		{"32 parameters and the one", strings.Repeat("&x=1", 32)[1:], false},
		{"almost 8 KiB", "x=" + strings.Repeat("1", 8000), true},
		{"more than 8 KiB", "x=" + strings.Repeat("1", 8192), false},
	} {
		claim := qsh.Hash("GET", "/a?"+test.query, "")
		got := qsh.Diagnose(claim, "GET", "/a?"+test.query+added, "").NearMiss
		if found := got == `would match without the parameter "added"`; found != test.found || !found && got != "" {
			t.Errorf("%s: got near miss %q, want one: %t", test.rule, got, test.found)
		}
	}
}
