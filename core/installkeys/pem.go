package installkeys

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	pemBegin = "-----BEGIN PUBLIC KEY-----"
	pemEnd   = "-----END PUBLIC KEY-----"

	minKeyBits = 2048 // RFC 7518 3.3
	maxKeyBits = 8192 // as in crypto/tls: larger ones serve to keep a verifier busy
)

// parseKey reads the PEM form of an RSA public key (SPKI, RFC 7468 section 13) that is fit for RS256.
//
// Key hosts have changed their line breaks before, so any white space may stand, or lack, anywhere between the markers
// and around them. Anything else around them is refused, where encoding/pem would skip it.
func parseKey(text string) (*rsa.PublicKey, error) {
	body, begins := strings.CutPrefix(strings.TrimSpace(text), pemBegin)
	body, ends := strings.CutSuffix(body, pemEnd)
	if !begins || !ends {
		return nil, errors.New("not one PEM block of type PUBLIC KEY")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		return nil, errors.New("not base64 between the PEM markers")
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("not a public key in DER") // the cause may quote what was sent
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T, not an RSA key", parsed)
	}
	// A short modulus can be factored; a small or even exponent makes forging a signature easier, or is no exponent.
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return nil, fmt.Errorf("RSA key of %d bits", bits)
	}
	if key.E < 65537 || key.E%2 == 0 {
		return nil, fmt.Errorf("RSA key with the exponent %d", key.E)
	}
	return key, nil
}
