package installkeys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/installkeys"
)

// publicKey returns a key of that size. Nobody knows a private half of it, and no test here needs one.
func publicKey(bits, exponent int) *rsa.PublicKey {
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: exponent}
}

func derOf(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func block(blockType string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

func pemOf(t testing.TB, key any) string {
	t.Helper()
	return block("PUBLIC KEY", derOf(t, key))
}

// host serves one text for every id.
func host(text string) *transport {
	return &transport{answer: func(*http.Request) (*http.Response, error) { return response(http.StatusOK, text) }}
}

func TestEveryLineBreakIsAccepted(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	file, base := pemOf(t, key), base64.StdEncoding.EncodeToString(derOf(t, key))
	for name, text := range map[string]string{
		"LF":                  file,
		"CRLF":                strings.ReplaceAll(file, "\n", "\r\n"),
		"CR":                  strings.ReplaceAll(file, "\n", "\r"),
		"none":                strings.ReplaceAll(file, "\n", ""),
		"blank lines":         strings.ReplaceAll(file, "\n", "\n\n"),
		"no final newline":    strings.TrimSuffix(file, "\n"),
		"white space around":  " \t\r\n\n" + file + "\n\n \t\r\n",
		"spaces at line ends": strings.ReplaceAll(file, "\n", " \t\n"),
		"one line of base64":  "-----BEGIN PUBLIC KEY-----\n" + base + "\n-----END PUBLIC KEY-----\n",
		"indented":            strings.ReplaceAll(file, "\n", "\n    "),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantKey(t, newKeys(t, host(text), nil, "https://a.example"), kid, key)
		})
	}
}

func TestKeySizes(t *testing.T) {
	t.Parallel()
	for _, key := range []*rsa.PublicKey{
		publicKey(2048, 65537), publicKey(3072, 65537), publicKey(4096, 65539), publicKey(8192, 65537),
	} {
		wantKey(t, newKeys(t, host(pemOf(t, key)), nil, "https://a.example"), kid, key)
	}
}

func TestUnusableKeyIsUnknown(t *testing.T) {
	t.Parallel()
	good := publicKey(2048, 65537)
	file := pemOf(t, good)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":                    "",
		"white space":                " \n",
		"HTML":                       "<html><body>not found</body></html>",
		"JSON":                       `{"keys":[]}`,
		"RSA of 512 bits":            pemOf(t, publicKey(512, 65537)),
		"RSA of 1024 bits":           pemOf(t, publicKey(1024, 65537)),
		"RSA of 2047 bits":           pemOf(t, publicKey(2047, 65537)),
		"RSA of 8193 bits":           pemOf(t, publicKey(8193, 65537)),
		"exponent 1":                 pemOf(t, publicKey(2048, 1)),
		"exponent 3":                 pemOf(t, publicKey(2048, 3)),
		"exponent 65535":             pemOf(t, publicKey(2048, 65535)),
		"even exponent":              pemOf(t, publicKey(2048, 65538)),
		"negative exponent":          pemOf(t, publicKey(2048, -65537)),
		"P-256":                      pemOf(t, &elliptical.PublicKey),
		"Ed25519":                    pemOf(t, edwards),
		"PKCS #1":                    block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(good)),
		"PKCS #1 as SPKI":            block("PUBLIC KEY", x509.MarshalPKCS1PublicKey(good)),
		"SPKI as certificate":        block("CERTIFICATE", derOf(t, good)),
		"DER":                        string(derOf(t, good)),
		"base64 without markers":     base64.StdEncoding.EncodeToString(derOf(t, good)),
		"text before":                "key:\n" + file,
		"text after":                 file + "-- \n",
		"NUL after":                  file + "\x00",
		"two keys":                   file + file,
		"PEM header":                 strings.Replace(file, "-----\n", "-----\nProc-Type: 4\n\n", 1),
		"no begin":                   strings.TrimPrefix(file, "-----BEGIN PUBLIC KEY-----"),
		"no end":                     strings.TrimSuffix(file, "-----END PUBLIC KEY-----\n"),
		"begin and end are one":      "-----BEGIN PUBLIC KEY-----END PUBLIC KEY-----",
		"empty block":                block("PUBLIC KEY", nil),
		"trailing bytes in the DER":  block("PUBLIC KEY", append(derOf(t, good), 0)),
		"cut short":                  block("PUBLIC KEY", derOf(t, good)[:200]),
		"base64url":                  strings.Replace(file, "M", "_", 1),
		"a byte order mark before":   "\ufeff" + file,
		"lower case markers":         strings.ReplaceAll(file, "PUBLIC KEY", "public key"),
		"private key, as if by slip": block("PRIVATE KEY", derOf(t, good)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, newKeys(t, host(text), nil, "https://a.example"), kid, installkeys.ErrUnknown)
		})
	}
}

// The law: a text that is accepted holds a key within the limits, and the same key when encoding/pem has written it.
func FuzzKeyFile(f *testing.F) {
	f.Add(pemOf(f, publicKey(2048, 65537)))
	f.Add(strings.ReplaceAll(pemOf(f, publicKey(4096, 65537)), "\n", "\r"))
	f.Add(pemOf(f, publicKey(1024, 3)))
	f.Add("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := newKeys(t, host(text), nil, "https://a.example").Key(t.Context(), kid)
		if (key == nil) != (err != nil) {
			t.Fatalf("Key = %v, %v, want one of the two", key, err)
		}
		if key == nil {
			return
		}
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 || key.E < 65537 || key.E%2 == 0 {
			t.Errorf("accepted a key of %d bits with the exponent %d", bits, key.E)
		}
		wantKey(t, newKeys(t, host(pemOf(t, key)), nil, "https://a.example"), kid, key)
	})
}
