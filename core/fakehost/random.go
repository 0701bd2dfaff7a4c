package fakehost

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
)

// A secret looks like those of Atlassian: a prefix that scanners know, random text, and a checksum after "=".
const (
	secretPrefix   = "ATCO"
	checksumBytes  = 1 + 8
	minSecretBytes = 16
)

// newRandom returns a cryptographic generator: repeatable if there is a seed, else seeded by the system.
func newRandom(seed string) *rand.ChaCha8 {
	if seed != "" {
		return rand.NewChaCha8(sha256.Sum256([]byte(seed)))
	}
	var random [32]byte
	_, _ = crand.Read(random[:]) // never fails
	return rand.NewChaCha8(random)
}

func newBytes(random *rand.ChaCha8, n int) []byte {
	b := make([]byte, n)
	_, _ = random.Read(b) // never fails
	return b
}

func newHex(random *rand.ChaCha8, n int) string {
	return hex.EncodeToString(newBytes(random, n))
}

// newUUID returns a version 4 UUID (RFC 9562 5.4).
func newUUID(random *rand.ChaCha8) string {
	b := newBytes(random, 16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newSecret returns a fresh shared secret; s.mu is held.
func (s *Site) newSecret() string {
	n := s.config.SecretBytes
	text := secretPrefix + base64.RawURLEncoding.EncodeToString(newBytes(s.random, n))
	text = text[:n-checksumBytes]
	return fmt.Sprintf("%s=%08X", text, crc32.ChecksumIEEE([]byte(text)))
}
