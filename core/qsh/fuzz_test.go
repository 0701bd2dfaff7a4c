package qsh_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hostbond/hostbond/core/qsh"
)

var fuzzTargets = []string{
	"", "/", "//", "*", "?", "/?", "/a", "/a/", "/a%20b", "/a&b=c?d=e", "/a%26b=c", "/a%2Fb%3Fc",
	"/app/a", "/apple/a", "/%61pp/a",
	"https://host/a?b=c", "HTTP://host", "http", "x://y/z", "/a?u=http://b/c",
	"/a?b=2&b=1&a=3&jwt=x.y.z", "/a?j%77t=x", "/a?flag", "/a?=1", "/a?&&a=1&", "/a?a=1;b=2", "/a?a+b=1&a%20b=2",
	"/a?x=%zz&y=%&z=%4&%%41", "/a?x=%ff&x=%fe", "/a?x=%EF%BC%A1&x=%F0%9F%98%80&x=\xee\x80\x80",
	"/a?a%3A=1&a0=2&a:=3", "/a?x=:1&x=.1",
}

// FuzzCanonicalAgreesWithReference: the canonical request is the one that a plain implementation of the rules makes, and
// Match accepts the hashes of its two forms.
func FuzzCanonicalAgreesWithReference(f *testing.F) {
	for _, target := range fuzzTargets {
		f.Add("GET", target, "/app")
		f.Add("post", target, "")
	}
	f.Fuzz(func(t *testing.T, method, target, basePath string) {
		_, query, _ := strings.Cut(target, "?")
		if !utf8.ValidString(referenceDecode(query)) {
			t.Skip("no order is laid down for what is no UTF-8")
		}
		raw, decoded := reference(method, target, basePath, false), reference(method, target, basePath, true)
		if got := qsh.Canonical(method, target, basePath); got != raw {
			t.Fatalf("Canonical(%q, %q, %q)\n got %q\nwant %q", method, target, basePath, got, raw)
		}
		if got := qsh.Hash(method, target, basePath); got != sha256Hex(raw) {
			t.Errorf("Hash: got %s, want that of %q", got, raw)
		}
		for _, canonical := range []string{raw, decoded} {
			if !qsh.Match(sha256Hex(canonical), method, target, basePath) {
				t.Errorf("Match(hash of %q, %q, %q, %q): got false, want true", canonical, method, target, basePath)
			}
		}
		m := qsh.Diagnose(sha256Hex(raw), method, target, basePath)
		if m.Canonical != raw || m.NearMiss != "" || m.Decoded != decoded && (m.Decoded != "" || decoded != raw) {
			t.Errorf("Diagnose of a match: got %+v, want raw %q, decoded %q", m, raw, decoded)
		}
	})
}

// FuzzMatchAcceptsNoOtherRequest: the hash of one request matches another exactly when it is the hash of one of its two
// forms. Diagnose names a near miss only where Match refuses.
func FuzzMatchAcceptsNoOtherRequest(f *testing.F) {
	for i, target := range fuzzTargets {
		f.Add("GET", target, "GET", fuzzTargets[(i+1)%len(fuzzTargets)], "/app")
	}
	f.Add("GET", "/a&b=c", "GET", "/a?b=c", "")
	f.Add("GET", "/a?b=c&d=e", "GET", "/a?b=c%26d=e", "")
	f.Add("GET", "/a?b=1,2", "GET", "/a?b=1&b=2", "")
	f.Add("GET", "/a b", "GET", "/a%20b", "")
	f.Fuzz(func(t *testing.T, signedMethod, signed, method, target, basePath string) {
		for _, target := range []string{signed, target} {
			if _, query, _ := strings.Cut(target, "?"); !utf8.ValidString(referenceDecode(query)) {
				t.Skip("no order is laid down for what is no UTF-8")
			}
		}
		canonical := reference(signedMethod, signed, basePath, false)
		want := canonical == reference(method, target, basePath, false) ||
			canonical == reference(method, target, basePath, true)
		claim := qsh.Hash(signedMethod, signed, basePath)
		if m := qsh.Diagnose(claim, method, target, basePath); want && m.NearMiss != "" {
			t.Errorf("Diagnose of a match: got near miss %q, want none", m.NearMiss)
		}
		if got := qsh.Match(claim, method, target, basePath); got != want {
			t.Errorf("Match(Hash(%q, %q), %q, %q) below %q: got %t, want %t",
				signedMethod, signed, method, target, basePath, got, want)
		}
	})
}

// FuzzCanonicalKeepsTheParameters: no parameter is lost or invented, whatever its octets, and their order in the query
// does not matter.
func FuzzCanonicalKeepsTheParameters(f *testing.F) {
	for _, target := range fuzzTargets {
		_, query, _ := strings.Cut(target, "?")
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		canonical := qsh.Canonical("GET", "/?"+query, "")

		pairs := strings.Split(query, "&")
		slices.Reverse(pairs)
		if got := qsh.Canonical("GET", "/?"+strings.Join(pairs, "&"), ""); got != canonical {
			t.Errorf("Canonical of %q and of its reverse differ: %q, %q", query, canonical, got)
		}

		want := map[[2]string]int{}
		for _, pair := range pairs {
			name, value, _ := strings.Cut(strings.ReplaceAll(pair, "+", " "), "=")
			if name = referenceDecode(name); pair != "" && name != "jwt" {
				want[[2]string{name, referenceDecode(value)}]++
			}
		}
		for group := range strings.SplitSeq(strings.TrimPrefix(canonical, "GET&/&"), "&") {
			if group == "" {
				continue
			}
			name, values, _ := strings.Cut(group, "=")
			for value := range strings.SplitSeq(values, ",") {
				want[[2]string{unescape(t, name), unescape(t, value)}]--
			}
		}
		for param, missing := range want {
			if missing != 0 {
				t.Errorf("%q is in the query of %q %d times more than in %q", param, query, missing, canonical)
			}
		}
	})
}

// unescape is strict: a canonical request holds no other escapes than proper ones.
func unescape(t *testing.T, s string) string {
	t.Helper()
	if strings.Contains(s, "+") {
		t.Errorf("a plus sign in %q", s)
	}
	decoded, err := url.QueryUnescape(s)
	if err != nil {
		t.Error(err)
	}
	return decoded
}
