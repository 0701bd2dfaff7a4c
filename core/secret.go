package core

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// The shortest and the longest shared secret that is taken from a site. Sites send up to 400 bytes today; the upper
// bound leaves room to grow, the lower one refuses what an HMAC must not be keyed with (RFC 8725 3.5).
const (
	MinSecretBytes = 16
	MaxSecretBytes = 4096
)

const redacted = "[redacted]"

// Secret is a shared secret that does not print: in fmt, JSON, text and slog it shows as "[redacted]". The zero value
// holds nothing and verifies nothing.
type Secret struct {
	_ [0]func() // == would compare pointers and not compile; see Equal

	// A pointer, since fmt prints the fields of an unexported struct field without asking its methods. It would print
	// a string in clear, but of a pointer only the address.
	value *string
}

// NewSecret wraps a shared secret. It returns an error, which does not hold the value, when the value is shorter than
// [MinSecretBytes] or longer than [MaxSecretBytes].
func NewSecret(value string) (Secret, error) {
	if len(value) < MinSecretBytes || len(value) > MaxSecretBytes {
		return Secret{}, fmt.Errorf("hostbond: a shared secret has %d to %d bytes, this one has %d",
			MinSecretBytes, MaxSecretBytes, len(value))
	}
	return Secret{value: &value}, nil
}

// Reveal returns the shared secret in clear. It is meant for a [Store], which seals what it gets.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether s holds no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares two secrets in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Fingerprint returns the name under which the secret may be shown, logged and stored; of the zero secret "".
func (s Secret) Fingerprint() Fingerprint {
	if s.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(s.Reveal()))
	return Fingerprint(hex.EncodeToString(sum[:]))
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// Format prints "[redacted]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns "[redacted]", in JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Fingerprint names a shared secret without giving it away: its SHA-256 in lower-case hex. It is compared whole and
// shown short.
type Fingerprint string

// Short returns the first twelve characters, enough to tell the secrets of one installation apart by eye.
func (f Fingerprint) Short() string { return string(f[:min(12, len(f))]) }

// valid reports whether f can be the fingerprint of a secret.
func (f Fingerprint) valid() bool {
	sum, err := hex.DecodeString(string(f))
	return err == nil && hex.EncodeToString(sum) == string(f) && len(sum) == sha256.Size
}
