package core

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzParseToken: no text panics, and of a token that is accepted there is one text only.
func FuzzParseToken(f *testing.F) {
	good := compactJWT(plainHeader, plainClaims, "signature")
	for _, raw := range []string{
		"", ".", "..", "...", good, good + "\n", good + "=", "\r\n" + good, strings.ReplaceAll(good, ".", "%2E"),
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		parsed, refusal := parseToken(raw)
		if (parsed == nil) == (refusal == nil) {
			t.Fatalf("got both or neither of a token and a refusal: %v, %v", parsed, refusal)
		}
		if refusal != nil {
			return
		}
		wantSameReading(t, raw, parsed)
		wantNoOtherText(t, raw)
	})
}

// FuzzTokenContent is FuzzParseToken for what is inside the base64, where mutations of the text hardly ever get to.
func FuzzTokenContent(f *testing.F) {
	for _, content := range []struct{ header, claims string }{
		{plainHeader, plainClaims},
		{`{"alg":"RS256","kid":"a/b/c","new":[{"x":null}]}`, plainClaims},
		{`{"\u0061lg":"HS256","Alg":1}`, `{"iss":"a","iss":"b"}`},
		{`{"alg":"HS256","crit":[]}`, plainClaims},
		{plainHeader, `{"iss":"\u0061","sub":null,"aud":"x","iat":1,"exp":9007199254740992,"nbf":2,"qsh":"context-qsh"}`},
		{plainHeader, `{"iss":"a","aud":[],"iat":1,"exp":2,"qsh":"x","context":{"user":{"accountId":"5b1","userKey":"u"},"x":1}}`},
		{plainHeader, `{"iss":"a","Iss":"b","iat":1e3,"exp":2.0,"qsh":"x"}`},
	} {
		f.Add(content.header, content.claims, "signature")
	}
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		raw := compactJWT(header, claims, signature)
		parsed, refusal := parseToken(raw)
		if refusal != nil {
			return
		}
		if string(parsed.signature) != signature {
			t.Errorf("signature: got %q, want %q", parsed.signature, signature)
		}
		wantSameReading(t, raw, parsed)
		wantNoOtherText(t, raw)
	})
}

// wantSameReading holds a token against what an independent parser reads.
func wantSameReading(t *testing.T, raw string, got *token) {
	t.Helper()
	other := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithJSONNumber())
	parsed, parts, err := parser.ParseUnverified(raw, other)
	if err != nil && !errors.Is(err, jwt.ErrTokenUnverifiable) { // it does not know the algorithm; that is judged later
		t.Fatalf("accepted %q, which the other parser refuses: %v", raw, err)
	}
	if want := strings.Join(parts[:2], "."); got.signingInput != want {
		t.Errorf("signing input: got %q, want %q", got.signingInput, want)
	}
	kid, _ := parsed.Header["kid"].(string)
	issuer, _ := other["iss"].(string)
	hash, _ := other["qsh"].(string)
	for _, member := range []struct{ name, got, want string }{
		{"alg", got.header.algorithm, parsed.Header["alg"].(string)},
		{"kid", got.header.keyID, kid},
		{"iss", got.claims.issuer, issuer},
		{"qsh", got.claims.queryHash, hash},
		{"user", got.claims.accountID, userOf(other)},
	} {
		if member.got != member.want {
			t.Errorf("%s: got %q, want %q", member.name, member.got, member.want)
		}
	}
	for _, member := range []struct {
		name string
		got  int64
	}{{"iat", got.claims.issuedAt}, {"exp", got.claims.expiresAt}, {"nbf", got.claims.notBefore}} {
		number, _ := other[member.name].(json.Number)
		if want, _ := number.Int64(); member.got != want {
			t.Errorf("%s: got %d, want %s", member.name, member.got, number)
		}
	}
	audience, err := other.GetAudience()
	if err != nil || !slices.Equal(got.claims.audience, []string(audience)) {
		t.Errorf("aud: got %q, want %q, %v", got.claims.audience, audience, err)
	}
	// A list of nobody is not the same as no audience: it fits no app.
	if _, present := other["aud"]; present != (got.claims.audience != nil) {
		t.Errorf("aud: got %#v, want that of %v", got.claims.audience, other["aud"])
	}
}

// userOf returns the user whom the claims name, in the new place or else in the old one.
func userOf(claims jwt.MapClaims) string {
	if subject, _ := claims["sub"].(string); subject != "" {
		return subject
	}
	inside, _ := claims["context"].(map[string]any)
	user, _ := inside["user"].(map[string]any)
	accountID, _ := user["accountId"].(string)
	return accountID
}

// wantNoOtherText tries the texts that lenient decoders take for the same token.
func wantNoOtherText(t *testing.T, raw string) {
	t.Helper()
	others := otherTexts(raw)
	first, last := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	for _, n := range []int{0, 1, first, first + 1, last, last + 1, len(raw)} {
		for _, skipped := range []string{" ", "\n", "\r", "=", "\x00"} {
			others = append(others, raw[:n]+skipped+raw[n:])
		}
	}
	for _, other := range others {
		if _, refusal := parseToken(other); reasonOf(refusal) != ReasonTokenMalformed {
			t.Fatalf("%q instead of %q: reason: got %q, want %q", other, raw, reasonOf(refusal), ReasonTokenMalformed)
		}
	}
}
