package gormstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hostbond/hostbond/core"
)

// Sealer encrypts shared secrets before they reach the database. It is the same as tink.AEAD, so that Tink keysets and
// the envelope encryption of a key management service fit; a [Keyring] needs neither.
//
// Decrypt must fail unless the associated data is that of Encrypt: it holds the app key, the client key and the
// fingerprint of the secret, so that nobody who can write to the database gives a tenant the secret of another. A secret
// that Decrypt fails on counts as unreadable; its sealed form stays in the row until it opens again.
//
// Both methods are called from many goroutines, once for each value in a row that is read or written: a sealer that asks a
// service should remember what it was told.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// InsecureNoSealing returns a sealer that does not seal: shared secrets are stored in clear, and whoever reads the
// database or one of its backups can sign as every site. It MUST NOT be used where these are of worth to anybody. There
// is no need for it in development either: see [GenerateKey].
func InsecureNoSealing() Sealer { return noSealing{} }

type noSealing struct{}

func (noSealing) Encrypt(plaintext, _ []byte) ([]byte, error)  { return plaintext, nil }
func (noSealing) Decrypt(ciphertext, _ []byte) ([]byte, error) { return ciphertext, nil }

// sealedSecret is a shared secret as it stands in the JSON list in the column secrets.
type sealedSecret struct {
	Fingerprint core.Fingerprint `json:"fingerprint"`
	State       core.SecretState `json:"state"`
	OfferedAt   *int64           `json:"offered_at,omitempty"`
	RetiredAt   *int64           `json:"retired_at,omitempty"`
	Bound       bool             `json:"bound,omitempty"`
	Unoffered   bool             `json:"unoffered,omitempty"`
	Sealed      []byte           `json:"sealed,omitempty"` // absent where the value is erased or was never stored
}

// seal returns the column secrets. It is called before GORM sees the row: a serializer of GORM would be passed over by
// some kinds of update, which would then write in clear.
func (s *Store) seal(key core.Key, secrets []core.StoredSecret) (string, error) {
	list := make([]sealedSecret, len(secrets))
	for n, secret := range secrets {
		list[n] = sealedSecret{
			Fingerprint: secret.Fingerprint,
			State:       secret.State,
			OfferedAt:   seconds(secret.OfferedAt),
			RetiredAt:   seconds(secret.RetiredAt),
			Bound:       secret.Bound,
			Unoffered:   secret.Unoffered,
		}
		if secret.Bound {
			continue // of an app-wide secret no copy is stored, should there be one
		}
		if secret.Value.IsZero() {
			list[n].Sealed = secret.Sealed // as it came
			continue
		}
		if secret.Value.Fingerprint() != secret.Fingerprint {
			return "", fmt.Errorf("gormstore: put installation: secret %d does not have the fingerprint that it goes by", n)
		}
		sealed, err := s.sealer.Encrypt([]byte(secret.Value.Reveal()), associatedData(key, secret.Fingerprint))
		if err != nil {
			return "", fmt.Errorf("gormstore: put installation: seal secret %d: %w", n, err)
		}
		if len(sealed) == 0 {
			return "", errors.New("gormstore: put installation: the sealer returned nothing")
		}
		list[n].Sealed = sealed
	}
	column, err := json.Marshal(list)
	return string(column), err
}

// open is the inverse of seal. What does not open comes back as it is, to be put back: a key that is missing today may be
// there tomorrow.
func (s *Store) open(key core.Key, column string) []core.StoredSecret {
	var list []sealedSecret
	if json.Unmarshal([]byte(column), &list) != nil {
		// Not by us. Without an entry the installation would look as if it had no secrets to lose.
		list = []sealedSecret{{State: core.Usable, Sealed: []byte(column)}}
	}
	secrets := make([]core.StoredSecret, len(list))
	for n, entry := range list {
		secrets[n] = core.StoredSecret{
			Fingerprint: entry.Fingerprint,
			State:       entry.State,
			OfferedAt:   instant(entry.OfferedAt),
			RetiredAt:   instant(entry.RetiredAt),
			Bound:       entry.Bound,
			Unoffered:   entry.Unoffered,
		}
		if len(entry.Sealed) == 0 {
			continue
		}
		value, ok := s.unseal(key, entry)
		if !ok {
			secrets[n].Sealed = entry.Sealed
			continue
		}
		secrets[n].Value = value
	}
	return secrets
}

// unseal returns the value of a secret, if it opens and is the one that the entry names.
func (s *Store) unseal(key core.Key, entry sealedSecret) (core.Secret, bool) {
	plaintext, err := s.sealer.Decrypt(entry.Sealed, associatedData(key, entry.Fingerprint))
	if err != nil {
		return core.Secret{}, false
	}
	secret, err := core.NewSecret(string(plaintext))
	return secret, err == nil && secret.Fingerprint() == entry.Fingerprint
}

// associatedData ties a sealed value to its purpose, its row and its place in the row. Each part is preceded by its
// length, lest a longer app key and a shorter client key read the same.
func associatedData(key core.Key, fingerprint core.Fingerprint) []byte {
	var data []byte
	for _, part := range []string{"hostbond shared secret", key.AppKey, key.ClientKey, string(fingerprint)} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part)))
		data = append(data, part...)
	}
	return data
}
