package core

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

const (
	plainHeader = `{"typ":"JWT","alg":"HS256"}`
	plainClaims = `{"iss":"client-1","iat":1800000000,"exp":1800000180,"qsh":"0a1b2c"}`
)

// compactJWT puts a token together. What it is signed with does not matter to the parser.
func compactJWT(header, claims, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte(signature))
}

func TestATokenIsTakenApart(t *testing.T) {
	t.Parallel()
	raw := compactJWT(
		`{"typ":"JWT","alg":"RS256","kid":"key-1","cty":"ignored","x5t":"ignored"}`,
		`{"iss":"client-1","sub":"user-1","aud":["https://a.example","https://b.example"],"iat":1800000000,`+
			`"exp":1800000180,"nbf":1800000001,"qsh":"0a1b2c","jti":"ignored"}`,
		"signature")
	got, refusal := parseToken(raw)
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := &token{
		signingInput: raw[:strings.LastIndexByte(raw, '.')],
		signature:    []byte("signature"),
		header:       header{algorithm: "RS256", keyID: "key-1"},
		claims: claims{
			issuer: "client-1", accountID: "user-1", audience: []string{"https://a.example", "https://b.example"},
			issuedAt: 1800000000, expiresAt: 1800000180, notBefore: 1800000001, queryHash: "0a1b2c",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestATokenIsThreePartsOfCanonicalBase64URL(t *testing.T) {
	t.Parallel()
	good := compactJWT(plainHeader, plainClaims, "\xfb\xff\xfesignature")
	if _, refusal := parseToken(good); refusal != nil {
		t.Fatal(refusal)
	}
	header, rest, _ := strings.Cut(good, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	std := strings.NewReplacer("-", "+", "_", "/")
	if std.Replace(signature) == signature {
		t.Fatal("the signature has no character that the two alphabets differ in")
	}
	for _, test := range []struct{ rule, raw string }{
		{"nothing", ""},
		{"one part", header},
		{"two parts", header + "." + claims},
		{"four parts", good + "." + signature},
		{"an empty fourth part", good + "."},
		{"an empty part before", "." + good},
		{"two dots", ".."},
		{"dots only", strings.Repeat(".", 8<<10)},
		{"no header", "." + claims + "." + signature},
		{"no claims", header + ".." + signature},
		{"a part of a length that no bytes have", header + "A." + claims + "." + signature},
		{"padding", good + "="},
		{"padding in front", header + "=." + claims + "." + signature},
		{"the standard alphabet", header + "." + claims + "." + std.Replace(signature)},
		{"a space before", " " + good},
		{"a space after", good + " "},
		{"a space inside", header + ". " + claims + "." + signature},
		{"a tab", header + "\t." + claims + "." + signature},
		{"a line break after", good + "\n"},
		{"line breaks inside, which base64 decoders skip", header[:4] + "\r\n" + header[4:] + "." + claims + "." + signature},
		{"NUL", good + "\x00"},
		{"a letter of another alphabet", header + "." + claims + "." + "Ａ" + signature},
		{"an escaped dot", header + "%2E" + claims + "%2E" + signature},
		{"quotes", `"` + good + `"`},
		{"JSON serialization", `{"protected":"` + header + `","payload":"` + claims + `","signature":"` + signature + `"}`},
	} {
		if _, refusal := parseToken(test.raw); reasonOf(refusal) != ReasonTokenMalformed {
			t.Errorf("%s: reason: got %q, want %q", test.rule, reasonOf(refusal), ReasonTokenMalformed)
		}
	}
}

func TestASignatureMayBeEmptyForItFitsNoKeyThen(t *testing.T) {
	t.Parallel()
	token, refusal := parseToken(compactJWT(plainHeader, plainClaims, ""))
	if refusal != nil {
		t.Fatal(refusal)
	}
	secret, err := NewSecret("0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	if newHS256(secret).verify(token.signingInput, token.signature) {
		t.Error("an empty signature verifies")
	}
}

// Where the last character of a part carries bits that stand for nothing, only one of the texts that decode to the same
// bytes is the token.
func TestATokenHasOneTextOnly(t *testing.T) {
	t.Parallel()
	tried := 0
	for _, padding := range []string{"", " ", "  "} {
		good := compactJWT(plainHeader+padding, plainClaims+padding, "sig"+padding)
		if _, refusal := parseToken(good); refusal != nil {
			t.Fatal(refusal)
		}
		for _, other := range otherTexts(good) {
			tried++
			if _, refusal := parseToken(other); reasonOf(refusal) != ReasonTokenMalformed {
				t.Errorf("%q instead of %q: reason: got %q, want %q", other, good, reasonOf(refusal), ReasonTokenMalformed)
			}
		}
	}
	if tried < 3*(3+15) { // the three parts with two bits and with four bits to spare
		t.Errorf("tried %d texts only", tried)
	}
}

// otherTexts returns the texts that differ from the token in bits that decode to nothing.
func otherTexts(raw string) (texts []string) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	parts := strings.Split(raw, ".")
	for n, part := range parts {
		spare := map[int]int{2: 4, 3: 2}[len(part)%4]
		if spare == 0 {
			continue
		}
		last := strings.IndexByte(alphabet, part[len(part)-1])
		for bits := 1; bits < 1<<spare; bits++ {
			changed := append([]string(nil), parts...)
			changed[n] = part[:len(part)-1] + string(alphabet[last^bits])
			texts = append(texts, strings.Join(changed, "."))
		}
	}
	return texts
}

func TestATokenHasAtMost8KiB(t *testing.T) {
	t.Parallel()
	ofLength := func(length int) string {
		front := compactJWT(plainHeader, plainClaims, "")
		signature := strings.Repeat("A", length-len(front))
		if len(signature)%4 == 1 { // no bytes have such a text
			front = compactJWT(plainHeader, plainClaims+" ", "")
			signature = strings.Repeat("A", length-len(front))
		}
		return front + signature
	}
	if _, refusal := parseToken(ofLength(8 << 10)); refusal != nil {
		t.Errorf("8 KiB: got %v, want none refused", refusal)
	}
	if _, refusal := parseToken(ofLength(8<<10 + 1)); reasonOf(refusal) != ReasonTokenMalformed {
		t.Errorf("8 KiB and a byte: reason: got %q, want %q", reasonOf(refusal), ReasonTokenMalformed)
	}
}

func TestALongTokenCostsNothing(t *testing.T) {
	long := compactJWT(plainHeader, plainClaims, strings.Repeat("x", 1<<20))
	// The refusal itself.
	if allocations := testing.AllocsPerRun(10, func() { _, _ = parseToken(long) }); allocations > 1 {
		t.Errorf("got %v allocations, want one at most", allocations)
	}
}

func TestHeaderMembers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, header string
		reason       ReasonCode
	}{
		{"only an algorithm", `{"alg":"HS256"}`, ""},
		{"white space", " {\r\n\t\"alg\" : \"HS256\" } \n", ""},
		{"an escaped name is the same name", `{"\u0061lg":"HS256"}`, ""},
		{"any type of token", `{"alg":"HS256","typ":"at+jwt"}`, ""},
		{"members that are not known", `{"alg":"HS256","cty":"JWT","x5t#S256":"x","new":{"a":[1,null,true]}}`, ""},
		{"an algorithm that is judged later", `{"alg":"none"}`, ""},

		{"crit", `{"alg":"HS256","crit":["exp"]}`, ReasonHeader},
		{"crit of nothing", `{"alg":"HS256","crit":[]}`, ReasonHeader},
		{"crit of null", `{"alg":"HS256","crit":null}`, ReasonHeader},
		{"b64", `{"alg":"HS256","b64":false}`, ReasonHeader},
		{"b64 as it is by default", `{"alg":"HS256","b64":true}`, ReasonHeader},
		{"zip", `{"alg":"HS256","zip":"DEF"}`, ReasonHeader},
		{"jku", `{"alg":"RS256","jku":"https://evil.example/keys"}`, ReasonHeader},
		{"jwk", `{"alg":"RS256","jwk":{"kty":"RSA"}}`, ReasonHeader},
		{"x5u", `{"alg":"RS256","x5u":"https://evil.example/c"}`, ReasonHeader},
		{"x5c", `{"alg":"RS256","x5c":[]}`, ReasonHeader},
		{"an escaped jku", `{"alg":"RS256","\u006aku":"https://evil.example/keys"}`, ReasonHeader},

		{"no algorithm", `{"typ":"JWT"}`, ReasonTokenMalformed},
		{"an empty algorithm", `{"alg":""}`, ReasonTokenMalformed},
		{"an algorithm of null", `{"alg":null}`, ReasonTokenMalformed},
		{"an algorithm that is a number", `{"alg":256}`, ReasonTokenMalformed},
		{"a list of algorithms", `{"alg":["HS256"]}`, ReasonTokenMalformed},
		{"two algorithms", `{"alg":"none","alg":"HS256"}`, ReasonTokenMalformed},
		{"two algorithms, one escaped", `{"alg":"HS256","\u0061lg":"none"}`, ReasonTokenMalformed},
		{"the same algorithm twice", `{"alg":"HS256","alg":"HS256"}`, ReasonTokenMalformed},
		{"an algorithm in upper case", `{"ALG":"HS256"}`, ReasonTokenMalformed},
		{"a key id that is a number", `{"alg":"RS256","kid":7}`, ReasonTokenMalformed},
		{"a key id of null", `{"alg":"RS256","kid":null}`, ReasonTokenMalformed},
		{"a type that is no text", `{"alg":"HS256","typ":1}`, ReasonTokenMalformed},
		{"a list", `["HS256"]`, ReasonTokenMalformed},
		{"null", `null`, ReasonTokenMalformed},
		{"a text", `"HS256"`, ReasonTokenMalformed},
		{"nothing", ``, ReasonTokenMalformed},
		{"not closed", `{"alg":"HS256"`, ReasonTokenMalformed},
		{"something after it", `{"alg":"HS256"}{}`, ReasonTokenMalformed},
		{"a comma after it", `{"alg":"HS256"},`, ReasonTokenMalformed},
		{"a byte order mark", "\ufeff" + `{"alg":"HS256"}`, ReasonTokenMalformed},
		{"a NUL after it", `{"alg":"HS256"}` + "\x00", ReasonTokenMalformed},
		{"invalid UTF-8", `{"alg":"HS256","new":"` + "\xff" + `"}`, ReasonTokenMalformed},
	} {
		_, refusal := parseToken(compactJWT(test.header, plainClaims, "signature"))
		if reasonOf(refusal) != test.reason {
			t.Errorf("%s: %s: reason: got %q, want %q", test.rule, test.header, reasonOf(refusal), test.reason)
		}
	}
}

// A parser that ignores case would read each of these as the name itself.
func TestHeaderMembersThatDifferInCaseOnlyAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Alg", "KID", "Typ", "Crit", "B64", "Zip", "JKU", "jwK", "X5U", "X5c",
		"\u212aid", "jw\u212a", // the Kelvin sign folds to k
	} {
		head := fmt.Sprintf(`{"alg":"HS256",%q:"x"}`, name)
		if _, refusal := parseToken(compactJWT(head, plainClaims, "signature")); reasonOf(refusal) != ReasonTokenMalformed {
			t.Errorf("member %q: reason: got %q, want %q", name, reasonOf(refusal), ReasonTokenMalformed)
		}
	}
}

// Fiber re-uses the buffer of a request for the next one.
func TestATokenOutlivesTheBufferItCameIn(t *testing.T) {
	t.Parallel()
	good := compactJWT(`{"alg":"RS256","kid":"key-1"}`, plainClaims, "signature")
	buffer := []byte(good)
	got, refusal := parseToken(unsafe.String(&buffer[0], len(buffer)))
	if refusal != nil {
		t.Fatal(refusal)
	}
	clear(buffer)
	want, _ := parseToken(good)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after the buffer was cleared: got %+v, want %+v", got, want)
	}
}
