package core

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hostbond/hostbond/core/qsh"
)

func TestARequestHasExactlyOneToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule          string
		authorization []string
		target        string
		want          string
		reason        ReasonCode
	}{
		{rule: "the header", authorization: []string{"JWT a.b.c"}, target: "/p", want: "a.b.c"},
		{rule: "the jwt parameter", target: "/p?jwt=a.b.c", want: "a.b.c"},
		{rule: "the jwt parameter among others", target: "/p?x=1&&jwt=a.b.c&y", want: "a.b.c"},
		{rule: "a target in absolute form", target: "https://app.example/p?jwt=a.b.c", want: "a.b.c"},
		{rule: "none", target: "/p?x=1", reason: ReasonTokenMissing},
		{rule: "a target without a query", target: "/jwt=a.b.c", reason: ReasonTokenMissing},

		{rule: "the scheme in lower case", authorization: []string{"jwt a.b.c"}, want: "a.b.c"},
		{rule: "the scheme in mixed case", authorization: []string{"Jwt a.b.c"}, want: "a.b.c"},
		{rule: "other schemes are no tokens", authorization: []string{"Bearer a.b.c", "Basic abc"}, reason: ReasonTokenMissing},
		{rule: "another scheme beside the header", authorization: []string{"Bearer x", "JWT a.b.c"}, want: "a.b.c"},
		{rule: "another scheme beside the parameter", authorization: []string{"Bearer x"}, target: "/p?jwt=a.b.c", want: "a.b.c"},
		{rule: "a scheme that begins with JWT", authorization: []string{"JWTS a.b.c"}, reason: ReasonTokenMissing},
		{rule: "a tab ends no scheme", authorization: []string{"JWT\ta.b.c"}, reason: ReasonTokenMissing},

		{rule: "header and parameter", authorization: []string{"JWT a.b.c"}, target: "/p?jwt=d.e.f", reason: ReasonTokenAmbiguous},
		{rule: "the same in both", authorization: []string{"JWT a.b.c"}, target: "/p?jwt=a.b.c", reason: ReasonTokenAmbiguous},
		{rule: "header and empty parameter", authorization: []string{"JWT a.b.c"}, target: "/p?jwt=", reason: ReasonTokenAmbiguous},
		{rule: "two headers", authorization: []string{"JWT a.b.c", "jwt d.e.f"}, reason: ReasonTokenAmbiguous},
		{rule: "two parameters", target: "/p?jwt=a.b.c&jwt=d.e.f", reason: ReasonTokenAmbiguous},
		{rule: "the same parameter twice", target: "/p?jwt=a.b.c&jwt=a.b.c", reason: ReasonTokenAmbiguous},
		{rule: "a second parameter without a value", target: "/p?jwt=a.b.c&jwt", reason: ReasonTokenAmbiguous},
		{rule: "the second parameter with an escaped name", target: "/p?jwt=a.b.c&j%77t=d.e.f", reason: ReasonTokenAmbiguous},

		{rule: "an escaped name", target: "/p?j%77t=a.b.c", want: "a.b.c"},
		{rule: "a name of escapes only", target: "/p?%6A%77%74=a.b.c", want: "a.b.c"},
		{rule: "a name escaped twice", target: "/p?j%2577t=a.b.c", reason: ReasonTokenMissing},
		{rule: "a name with a broken escape", target: "/p?jwt%7=a.b.c", reason: ReasonTokenMissing},
		{rule: "a name in upper case", target: "/p?JWT=a.b.c", reason: ReasonTokenMissing},
		{rule: "a name escaped to upper case", target: "/p?%4A%57%54=a.b.c", reason: ReasonTokenMissing},
		{rule: "longer names", target: "/p?jwt[]=a.b.c&xjwt=a.b.c&jwt+=a.b.c&jwt%00=a.b.c", reason: ReasonTokenMissing},
		{rule: "a semicolon separates nothing", target: "/p?x=1;jwt=a.b.c", reason: ReasonTokenMissing},
		{rule: "a second question mark begins nothing", target: "/p?x=1?jwt=a.b.c", reason: ReasonTokenMissing},

		// What is left here is no token, and is refused where it is read.
		{rule: "an empty parameter is an empty token", target: "/p?jwt="},
		{rule: "a parameter without a value is an empty token", target: "/p?jwt"},
		{rule: "a scheme without a token is an empty token", authorization: []string{"JWT"}},
		{rule: "the value is not decoded", target: "/p?jwt=a%2Eb.c", want: "a%2Eb.c"},
		{rule: "the value is not cut at a fragment", target: "/p?jwt=a.b.c#top", want: "a.b.c#top"},
		{rule: "the value is not trimmed", authorization: []string{"JWT  a.b.c "}, want: " a.b.c "},
		{rule: "a header is no list", authorization: []string{"JWT a.b.c, JWT d.e.f"}, want: "a.b.c, JWT d.e.f"},
	} {
		got, refusal := Request{Target: test.target, Authorization: test.authorization}.token()
		if reasonOf(refusal) != test.reason || got != test.want {
			t.Errorf("%s: got %q, reason %q; want %q, reason %q", test.rule, got, reasonOf(refusal), test.want, test.reason)
		}
	}
}

// FuzzTokenParameter: a parameter is looked into for a token exactly when the query hash leaves it out. Otherwise a
// token could hide in what is signed, or what is not signed could pass for signed.
func FuzzTokenParameter(f *testing.F) {
	for _, name := range []string{
		"jwt", "j%77t", "%6a%77%74", "JWT", "jwt%", "jwt%7", "jwt%zz", "%2", "j+wt", "jwt\x00", "", "é", "?jwt",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsAny(name, "&=") {
			return
		}
		target := "/p?" + name + "=a.b.c"
		leftOut := qsh.Canonical("GET", target, "") == qsh.Canonical("GET", "/p", "")
		if isJWTParameter(name) != leftOut {
			t.Errorf("parameter %q: taken for the token: %v, left out of the query hash: %v", name, isJWTParameter(name), leftOut)
		}
		// Behind a second question mark a name is hidden too, in case the target was decoded.
		if hidden := !strings.Contains(HideToken(target), "a.b.c"); hidden != leftOut && !strings.Contains(name, "?") {
			t.Errorf("parameter %q: hidden: %v, left out of the query hash: %v", name, hidden, leftOut)
		}
	})
}

func TestHideTokenHidesTheTokenAndNothingElse(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/p":                             "/p",
		"/p?":                            "/p?",
		"/p?x=1&y=%20&&z":                "/p?x=1&y=%20&&z",
		"/p?jwt=a.b.c":                   "/p?jwt=[redacted]",
		"/p?x=1&jwt=a.b.c&y=2":           "/p?x=1&jwt=[redacted]&y=2",
		"/p?jwt=a.b.c&jwt=d.e.f":         "/p?jwt=[redacted]&jwt=[redacted]",
		"/p?j%77t=a.b.c":                 "/p?j%77t=[redacted]",
		"/p?jwt=a.b=c":                   "/p?jwt=[redacted]",
		"/p?jwt=a.b.c#top":               "/p?jwt=[redacted]",
		"/is it??jwt=a.b.c":              "/is it??jwt=[redacted]",
		"/p?xjwt=1&jwtx=2":               "/p?xjwt=1&jwtx=2",
		"https://app.example/?jwt=a.b.c": "https://app.example/?jwt=[redacted]",
	} {
		if got := HideToken(target); got != want {
			t.Errorf("HideToken(%q): got %q, want %q", target, got, want)
		}
	}
}

func TestABodyHasAtMost64KiB(t *testing.T) {
	t.Parallel()
	full := bytes.Repeat([]byte{'x'}, 64<<10)
	for _, test := range []struct {
		rule   string
		body   io.Reader
		want   []byte
		reason ReasonCode
	}{
		{rule: "none", body: nil},
		{rule: "an empty one", body: strings.NewReader(""), want: []byte{}},
		{rule: "64 KiB", body: bytes.NewReader(full), want: full},
		{rule: "64 KiB, a byte at a time", body: iotest.OneByteReader(bytes.NewReader(full)), want: full},
		{rule: "a byte more", body: bytes.NewReader(append(full, 'x')), reason: ReasonBodyTooLarge},
	} {
		got, refusal := Request{Body: test.body}.readBody()
		if reasonOf(refusal) != test.reason || !bytes.Equal(got, test.want) {
			t.Errorf("%s: got %d bytes, reason %q; want %d bytes, reason %q",
				test.rule, len(got), reasonOf(refusal), len(test.want), test.reason)
		}
	}
}

func TestABodyIsReadNoFurtherThanItMayReach(t *testing.T) {
	t.Parallel()
	endless := &countingReader{}
	if _, refusal := (Request{Body: endless}).readBody(); reasonOf(refusal) != ReasonBodyTooLarge {
		t.Errorf("reason: got %q, want %q", reasonOf(refusal), ReasonBodyTooLarge)
	}
	if want := 64<<10 + 1; endless.read > want {
		t.Errorf("read %d bytes, want %d at most", endless.read, want)
	}
}

type countingReader struct{ read int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.read += len(p)
	return len(p), nil
}

func TestABodyThatBreaksOffIsRefused(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	body := io.MultiReader(strings.NewReader(`{"key":`), iotest.ErrReader(broken))
	got, refusal := Request{Body: body}.readBody()
	if reasonOf(refusal) != ReasonBody || !errors.Is(refusal, broken) || got != nil {
		t.Errorf("got %q, %v; want no body, and reason %q because of %v", got, refusal, ReasonBody, broken)
	}
}

// reasonOf returns the reason of a refusal, or "" for none. It takes the pointer, since a nil one in an error is not nil.
func reasonOf(r *refusal) ReasonCode {
	if r == nil {
		return ""
	}
	return r.reason
}
