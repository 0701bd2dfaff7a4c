package core

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// hs256 verifies HS256 signatures by one secret. It hashes the key once and keeps the two keyed states, where a plain
// HMAC pays for them at every token.
type hs256 struct {
	macs sync.Pool // of *keyedMAC
}

type keyedMAC struct {
	hash.Hash
	input, sum []byte
}

func newHS256(secret Secret) *hs256 {
	key := []byte(secret.Reveal())
	return &hs256{macs: sync.Pool{New: func() any {
		return &keyedMAC{Hash: hmac.New(sha256.New, key)}
	}}}
}

// verify reports whether signature is the HMAC of input. The comparison takes constant time.
func (h *hs256) verify(input string, signature []byte) bool {
	mac := h.macs.Get().(*keyedMAC)
	mac.input = append(mac.input[:0], input...)
	mac.Reset()
	mac.Write(mac.input)
	mac.sum = mac.Sum(mac.sum[:0])
	ok := hmac.Equal(mac.sum, signature)
	h.macs.Put(mac)
	return ok
}
