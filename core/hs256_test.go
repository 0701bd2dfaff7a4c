package core

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hostbond/hostbond/core/internal/vectors"
)

func keyedBy(key []byte) *hs256 {
	value := string(key)
	return newHS256(Secret{value: &value})
}

func TestAnHS256SignatureIsTheWholeHMACAndNothingElse(t *testing.T) {
	t.Parallel()
	const input = "header.claims"
	key := []byte("0123456789abcdef")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	good := mac.Sum(nil)
	for _, test := range []struct {
		rule, input string
		signature   []byte
		want        bool
	}{
		{"the HMAC", input, good, true},
		{"of another input", input + "x", good, false},
		{"of a shorter input", input[1:], good, false},
		{"without its last byte", input, good[:31], false},
		{"half of it", input, good[:16], false},
		{"a byte more", input, append(bytes.Clone(good), 0), false},
		{"a bit changed", input, append(bytes.Clone(good[:31]), good[31]^1), false},
		{"empty", input, []byte{}, false},
		{"none", input, nil, false},
		{"zeros", input, make([]byte, 32), false},
	} {
		if got := keyedBy(key).verify(test.input, test.signature); got != test.want {
			t.Errorf("%s: got %v, want %v", test.rule, got, test.want)
		}
	}
}

func TestOneKeyVerifiesManyTokensAtOnce(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef")
	verifier := keyedBy(key)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			input := strings.Repeat("x", 1+n*50) // longer and shorter than what the others leave in the buffers
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(input))
			signature := mac.Sum(nil)
			for range 500 {
				if !verifier.verify(input, signature) || verifier.verify(input+"y", signature) {
					t.Errorf("%d bytes: a good signature was refused, or a bad one was not", len(input))
					return
				}
			}
		})
	}
	group.Wait()
}

func TestWycheproofHMAC(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Algorithm, Schema string
		NumberOfTests     int
		Header, Notes     any
		TestGroups        []struct {
			Type             string
			Source           any
			KeySize, TagSize int
			Tests            []struct {
				TcID                           int
				Comment, Key, Msg, Tag, Result string
				Flags                          []string
			}
		}
	}](t, "wycheproof/hmac_sha256_test.json")
	tested := 0
	for _, group := range corpus.TestGroups {
		for _, test := range group.Tests {
			tested++
			// A tag that was cut to half is valid there, and no HS256 signature (RFC 7518 3.2).
			want := test.Result == "valid" && group.TagSize == 256
			got := keyedBy(unhex(t, test.Key)).verify(string(unhex(t, test.Msg)), unhex(t, test.Tag))
			if got != want {
				t.Errorf("tc%d, %s, %d bits: got %v, want %v", test.TcID, test.Comment, group.TagSize, got, want)
			}
		}
	}
	if tested != corpus.NumberOfTests {
		t.Errorf("tried %d vectors of %d", tested, corpus.NumberOfTests)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// jwk is a JSON Web Key.
type jwk struct {
	Kty, Alg, Use, Kid, Crv string
	KeyOps                  []string `json:"key_ops"`
	K, N, E, D, P, Q, X, Y  string
	DP, DQ, QI              string
}

// verifies reports whether we would take a JSON Web Signature for one of this key, whatever it is that was signed: what
// is signed in these vectors are no claims of Connect.
func (k jwk) verifies(t *testing.T, jws string) bool {
	t.Helper()
	if _, refusal := parseToken(jws); refusal != nil && !refusesClaimsOnly(refusal) {
		return false
	}
	parts := strings.Split(jws, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatalf("%q was taken apart: %v", jws, err)
	}
	headerJSON, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatalf("%q was taken apart: %v", jws, err)
	}
	var head header
	if refusal := head.parse(headerJSON); refusal != nil {
		t.Fatalf("%q was taken apart: %v", jws, refusal)
	}
	input := parts[0] + "." + parts[1]
	switch {
	case k.Kty == "oct" && head.algorithm == algHS256:
		return keyedBy(decode64(t, k.K)).verify(input, signature)
	case k.Kty == "RSA" && head.algorithm == algRS256:
		modulus, exponent := new(big.Int).SetBytes(decode64(t, k.N)), new(big.Int).SetBytes(decode64(t, k.E))
		key := &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
		return jwt.SigningMethodRS256.Verify(input, signature, key) == nil
	default:
		return false
	}
}

// refusesClaimsOnly reports whether a token was refused for nothing but what its claims say.
func refusesClaimsOnly(r *refusal) bool {
	return r.reason == ReasonClaims || strings.HasPrefix(r.detail, "claims are not strict JSON")
}

func decode64(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Schema        string
		NumberOfTests int
		Header, Notes any
		TestGroups    []struct {
			Type, Comment   string
			Source          any
			Private, Public *jwk
			Tests           []struct {
				TcID                 int
				Comment, JWS, Result string
				Flags                []string
			}
		}
	}](t, "wycheproof/json_web_signature_test.json")
	// Where the corpus is wrong: byte for byte the same as tc357, which is valid; and "?" is no character of base64url.
	differs := map[int]bool{367: true, 370: true, 372: false, 373: false}
	tested := map[string]int{}
	for _, group := range corpus.TestGroups {
		key := group.Private
		if group.Public != nil {
			key = group.Public
		}
		// The others test what a key says of its own use. Ours say nothing: they are shared secrets and PEM files.
		if key.Alg != algHS256 && key.Alg != algRS256 {
			continue
		}
		for _, test := range group.Tests {
			want, differs := differs[test.TcID]
			if !differs {
				want = test.Result == "valid"
			}
			tested[key.Alg]++
			if got := key.verifies(t, test.JWS); got != want {
				t.Errorf("tc%d, %s, %s: got %v, want %v", test.TcID, group.Comment, test.Comment, got, want)
			}
		}
	}
	if tested[algHS256] < 40 || tested[algRS256] < 233 {
		t.Errorf("tried %v vectors only", tested)
	}
}

func TestRFC7515Signatures(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Source string
		Tests  []struct {
			ID, Alg, JWS, Signature string
			JWK                     *jwk
		}
	}](t, "rfc7515/appendix_a.json")
	for _, test := range corpus.Tests {
		key := test.JWK
		if key == nil {
			key = &jwk{Kty: "oct"}
		}
		if got, want := key.verifies(t, test.JWS), test.Signature == "valid"; got != want {
			t.Errorf("%s: got %v, want %v", test.ID, got, want)
		}
	}
}

// Of each example every serialization is tried.
func TestRFC7520Signatures(t *testing.T) {
	t.Parallel()
	for file, compactVerifies := range map[string]bool{
		"jws_4_1.rsa_v15_signature":                 true,
		"jws_4_2.rsa-pss_signature":                 false,
		"jws_4_4.hmac-sha2_integrity_protection":    true,
		"jws_4_5.signature_with_detached_content":   false,
		"jws_4_6.protecting_specific_header_fields": false,
		"jws_4_7.protecting_content_only":           false,
		"jws_4_8.multiple_signatures":               false,
		"rfc7797_4.2.hmac-sha2_b64_false":           false,
		"rfc7797_hmac-sha2_b64_false":               false,
	} {
		example := vectors.Load[struct {
			Title        string
			Reproducible bool
			Signing      any
			Input        struct {
				Payload string
				Alg     any
				Key     json.RawMessage // one, or a list
			}
			Output struct {
				Compact  string
				JSON     json.RawMessage
				JSONFlat json.RawMessage `json:"json_flat"`
			}
		}](t, "rfc7520-cookbook/"+file+".json")
		var key jwk
		if example.Input.Key[0] == '{' {
			if err := json.Unmarshal(example.Input.Key, &key); err != nil {
				t.Fatal(err)
			}
		}
		if got := key.verifies(t, example.Output.Compact); got != compactVerifies {
			t.Errorf("%s: compact: got %v, want %v", file, got, compactVerifies)
		}
		for _, serialization := range []json.RawMessage{example.Output.JSON, example.Output.JSONFlat} {
			if key.verifies(t, string(serialization)) {
				t.Errorf("%s: %.20s…: got true, want false", file, serialization)
			}
		}
	}
}
