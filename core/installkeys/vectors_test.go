package installkeys_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/installkeys"
	"github.com/hostbond/hostbond/core/internal/vectors"
)

func TestHostileTokensCauseNoRequest(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Clock, Exp                                         int64
		HS256Secret, LibraryOptions, Note, RSAPublicKeyPEM string
		Tests                                              []struct {
			ID, Class, Mode, Token, Expect, Note string
			BareLibrary                          string `json:"golangJWT_v5_3_1"`
		}
	}](t, "hostile-tokens.json")
	tr := serving(nil)
	keys := newKeys(t, tr, nil, "https://a.example")
	tested := 0
	for _, test := range corpus.Tests {
		if test.Class != "kid" {
			continue
		}
		tested++
		encoded, _, _ := strings.Cut(test.Token, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatalf("%s: %v", test.ID, err)
		}
		var header map[string]any
		if err := json.Unmarshal(decoded, &header); err != nil {
			t.Fatalf("%s: %v", test.ID, err)
		}
		kid, _ := header["kid"].(string) // a number or nothing reaches us as an empty id, if at all
		wantError(t, keys, kid, installkeys.ErrUnknown)
		if asked := tr.requests(); len(asked) > 0 {
			t.Fatalf("%s: the id %q causes a request for %s", test.ID, kid, asked)
		}
	}
	if tested == 0 {
		t.Error("no vector of class kid")
	}
}

// Of the JSON Web Keys of Wycheproof those are tried here that would make an RSA key file. What marks the other RSA keys
// as invalid is not in a key file: use, alg, a second key of the same id, and how the modulus came about.
func TestWycheproofKeys(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		NumberOfTests         int
		Header, Notes, Schema json.RawMessage
		TestGroups            []struct {
			Type                     string
			Source, Comment, Private json.RawMessage
			Public                   struct {
				Keys []struct{ Alg, Use, N, E, Kid, Kty, X, Y, Crv string }
			}
			Tests []struct {
				TcID                      int
				Comment, JWS, JWE, Result string
				Flags                     []string
			}
		}
	}](t, "wycheproof/json_web_key_test.json")
	want := map[int]error{
		5: nil,
		8: installkeys.ErrUnknown, // 1024 bits
		9: installkeys.ErrUnknown, // exponent 1
	}
	tested := 0
	for _, group := range corpus.TestGroups {
		for _, test := range group.Tests {
			want, ok := want[test.TcID]
			if !ok {
				continue
			}
			tested++
			if len(group.Public.Keys) != 1 {
				t.Fatalf("tc%d has %d public keys, want one", test.TcID, len(group.Public.Keys))
			}
			jwk := group.Public.Keys[0]
			key := &rsa.PublicKey{N: integer(t, jwk.N), E: int(integer(t, jwk.E).Int64())}
			keys := newKeys(t, host(pemOf(t, key)), nil, "https://a.example")
			if want == nil {
				wantKey(t, keys, kid, key)
			} else {
				wantError(t, keys, kid, want)
			}
		}
	}
	if tested != len(want) {
		t.Errorf("tried %d of the %d keys", tested, len(want))
	}
}

func integer(t *testing.T, text string) *big.Int {
	t.Helper()
	value, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return new(big.Int).SetBytes(value)
}
