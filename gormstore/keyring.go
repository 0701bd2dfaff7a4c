package gormstore

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// SealKeyBytes is the length of a seal key, of AES-256.
const SealKeyBytes = 32

// sealKeyID is what an id may consist of: neither ':' nor ',', which separate keys as text.
var sealKeyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// SealKey is a key of a [Keyring] with the id by which sealed values name it. Of it only the id prints.
type SealKey struct {
	id     string
	aead   cipher.AEAD // and not the key itself, so that there is nothing to print
	digest [sha256.Size]byte
}

// NewSealKey returns the AES-256 key with the given id: 1 to 64 letters, digits, dots, dashes and underscores. Ids are
// stored in clear, beside what the key seals. The key must have [SealKeyBytes] random bytes; it is not a password.
func NewSealKey(id string, key []byte) (SealKey, error) {
	k, err := newSealKey(id, key)
	if err != nil {
		return SealKey{}, fmt.Errorf("gormstore: seal key: %w", err)
	}
	return k, nil
}

func newSealKey(id string, key []byte) (SealKey, error) {
	if !sealKeyID.MatchString(id) {
		return SealKey{}, errors.New("its id must be 1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if len(key) != SealKeyBytes {
		return SealKey{}, fmt.Errorf("it must have %d bytes, this one has %d", SealKeyBytes, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return SealKey{}, err
	}
	// Random nonces are safe for 2^32 values under one key (NIST SP 800-38D 8.3): a thousand a second for 50 days.
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return SealKey{}, err
	}
	return SealKey{id: id, aead: aead, digest: sha256.Sum256(key)}, nil
}

// GenerateKey returns a new seal key as text, "id:base64", for [ParseKeyring]. Whoever has it and the database has the
// shared secrets; whoever has lost it needs an installed callback from every site. Keep it apart from the database,
// and a copy of it.
func GenerateKey() string {
	key := make([]byte, SealKeyBytes)
	rand.Read(key) // never fails
	return "k" + strings.ToLower(rand.Text()[:8]) + ":" + base64.StdEncoding.EncodeToString(key)
}

// Keyring is a [Sealer] with AES-256-GCM. Its first key seals, all of them open, so that keys can be changed:
//
//  1. Add the new key at the end everywhere, so that every replica can open what it seals.
//  2. Move it to the front. From now on each row that is written is sealed with it.
//  3. Call [Store.Reseal]. Now no row needs the old key.
//  4. Remove the old key. Backups still need it.
//
// In fmt, JSON, text and slog it shows as the ids of its keys.
type Keyring struct{ keys []SealKey }

// NewKeyring returns a keyring of the given keys, newest first. It needs one at least and refuses to have a key or an id
// twice.
func NewKeyring(keys ...SealKey) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("gormstore: a keyring needs a seal key")
	}
	for n, key := range keys {
		if key.aead == nil {
			return nil, fmt.Errorf("gormstore: seal key %d is empty", n+1)
		}
		for earlier, other := range keys[:n] {
			if key.id == other.id || key.digest == other.digest {
				return nil, fmt.Errorf("gormstore: seal key %d has the id or the bytes of seal key %d", n+1, earlier+1)
			}
		}
	}
	return &Keyring{keys: slices.Clone(keys)}, nil
}

// ParseKeyring returns the keyring that text holds: a comma-separated list, newest first, of "id:base64", as
// [GenerateKey] returns them. Base64 is that of RFC 4648 section 4, with padding; `openssl rand -base64 32` writes it.
// Errors name a key by its place and do not quote the text.
func ParseKeyring(text string) (*Keyring, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New(`gormstore: there is no seal key; make one with GenerateKey, or "k1:$(openssl rand -base64 32)"`)
	}
	var keys []SealKey
	for n, entry := range strings.Split(text, ",") {
		id, encoded, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok {
			return nil, fmt.Errorf("gormstore: seal key %d is not of the form id:base64", n+1)
		}
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("gormstore: seal key %d is not base64", n+1)
		}
		sealKey, err := newSealKey(id, key)
		if err != nil {
			return nil, fmt.Errorf("gormstore: seal key %d: %w", n+1, err)
		}
		keys = append(keys, sealKey)
	}
	return NewKeyring(keys...)
}

// sealedVersion is the first byte of a sealed value. It is followed by the length of the id and the id of the key, which
// are authenticated, and by what [cipher.NewGCMWithRandomNonce] makes: nonce, ciphertext and tag.
const sealedVersion = 1

// Encrypt seals plaintext with the first key.
func (k Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if len(k.keys) == 0 {
		return nil, errors.New("gormstore: the keyring is empty")
	}
	key := k.keys[0]
	header := append([]byte{sealedVersion, byte(len(key.id))}, key.id...)
	return key.aead.Seal(header, nil, plaintext, slices.Concat(header, associatedData)), nil
}

// Decrypt opens what Encrypt has made with any of the keys and with the same associated data.
func (k Keyring) Decrypt(sealed, associatedData []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != sealedVersion || len(sealed) < 2+int(sealed[1]) {
		return nil, errors.New("gormstore: open: not sealed by a keyring")
	}
	end := 2 + int(sealed[1])
	header, body := sealed[:end], sealed[end:]
	id := string(header[2:])
	n := slices.IndexFunc(k.keys, func(key SealKey) bool { return key.id == id })
	if n < 0 {
		return nil, fmt.Errorf("gormstore: open: sealed with key %q, which the keyring does not have", id)
	}
	plaintext, err := k.keys[n].aead.Open(nil, nil, body, slices.Concat(header, associatedData))
	if err != nil {
		return nil, fmt.Errorf("gormstore: open: sealed with another key of the id %q, for another place, or changed", id)
	}
	return plaintext, nil
}

// String returns the id.
func (k SealKey) String() string { return k.id }

// Format prints the id for every verb.
func (k SealKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.id) }

// MarshalText returns the id, in JSON too.
func (k SealKey) MarshalText() ([]byte, error) { return []byte(k.id), nil }

// LogValue returns the id.
func (k SealKey) LogValue() slog.Value { return slog.StringValue(k.id) }

// String returns the ids of the keys.
func (k Keyring) String() string { return fmt.Sprint(k.keys) }

// Format prints the ids of the keys for every verb.
func (k Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns the ids of the keys, in JSON too.
func (k Keyring) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue returns the ids of the keys.
func (k Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }
