package gormstore

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

var (
	acme  = core.Key{AppKey: "com.example.app", ClientKey: "acme"}
	other = core.Key{AppKey: "com.example.app", ClientKey: "other"}
)

func newSecret(t *testing.T, value string) core.Secret {
	t.Helper()
	secret, err := core.NewSecret(value)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func usable(secret core.Secret) core.StoredSecret {
	return core.StoredSecret{Fingerprint: secret.Fingerprint(), State: core.Usable, Value: secret}
}

func newKeyring(t *testing.T) *Keyring {
	t.Helper()
	keyring, err := ParseKeyring(GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

func sealColumn(t *testing.T, s *Store, key core.Key, secrets ...core.StoredSecret) string {
	t.Helper()
	column, err := s.seal(key, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return column
}

func TestASecretOpensInItsOwnPlaceOnly(t *testing.T) {
	t.Parallel()
	store := &Store{sealer: newKeyring(t)}
	first, second := newSecret(t, "the first secret of acme"), newSecret(t, "the second secret of acme")
	column := sealColumn(t, store, acme, usable(first), usable(second))

	for n, want := range []core.Secret{first, second} {
		if got := store.open(acme, column)[n]; !got.Value.Equal(want) || got.Sealed != nil {
			t.Errorf("in its place: secret %d does not open", n)
		}
		if got := store.open(other, column)[n]; !got.Value.IsZero() || got.Sealed == nil {
			t.Errorf("in another row: secret %d opens", n)
		}
	}

	// The sealed values change places, the fingerprints stay.
	swapped := strings.NewReplacer(string(first.Fingerprint()), string(second.Fingerprint()),
		string(second.Fingerprint()), string(first.Fingerprint())).Replace(column)
	for n, got := range store.open(acme, swapped) {
		if !got.Value.IsZero() || got.Sealed == nil {
			t.Errorf("in another slot: secret %d opens", n)
		}
	}
}

// forgetful is a sealer that ignores the associated data.
type forgetful struct{ *Keyring }

func (f forgetful) Encrypt(plaintext, _ []byte) ([]byte, error) {
	return f.Keyring.Encrypt(plaintext, nil)
}
func (f forgetful) Decrypt(ciphertext, _ []byte) ([]byte, error) {
	return f.Keyring.Decrypt(ciphertext, nil)
}

func TestASecretWithAnotherFingerprintDoesNotOpen(t *testing.T) {
	t.Parallel()
	for name, sealer := range map[string]Sealer{"careless sealer": forgetful{newKeyring(t)}, "in clear": InsecureNoSealing()} {
		store := &Store{sealer: sealer}
		secret, claimed := newSecret(t, "a secret of the tenant"), newSecret(t, "what it is said to be")
		column := sealColumn(t, store, acme, usable(secret))
		forged := strings.ReplaceAll(column, string(secret.Fingerprint()), string(claimed.Fingerprint()))
		if got := store.open(acme, forged)[0]; !got.Value.IsZero() || got.Sealed == nil {
			t.Errorf("%s: opens under the fingerprint of another", name)
		}
	}
}

func TestWhatDoesNotOpenIsPutBackAsItCame(t *testing.T) {
	t.Parallel()
	before, after := &Store{sealer: newKeyring(t)}, &Store{sealer: newKeyring(t)}
	secret := newSecret(t, "a secret of the tenant")
	offered := usable(secret)
	offered.OfferedAt = time.Date(2024, time.May, 1, 0, 0, 0, 0, time.UTC)

	column := sealColumn(t, before, acme, offered)
	unreadable := after.open(acme, column)
	if !unreadable[0].Unreadable() {
		t.Fatal("the secret opens without its key")
	}
	again := sealColumn(t, after, acme, unreadable...)
	if again != column {
		t.Errorf("got %s, want %s", again, column)
	}
	if got := before.open(acme, again); !reflect.DeepEqual(got, []core.StoredSecret{offered}) {
		t.Errorf("with the key back: got %+v, want %+v", got, offered)
	}
}

func TestAColumnThatIsNotOursIsUnreadableAndNotLost(t *testing.T) {
	t.Parallel()
	store := &Store{sealer: newKeyring(t)}
	whole := sealColumn(t, store, acme, usable(newSecret(t, "a secret of the tenant")))
	for _, column := range []string{"", "{}", "null but not quite", whole[:len(whole)-1]} {
		secrets := store.open(acme, column)
		for range 3 {
			secrets = store.open(acme, sealColumn(t, store, acme, secrets...))
		}
		if len(secrets) != 1 || !secrets[0].Unreadable() || string(secrets[0].Sealed) != column {
			t.Errorf("%q: got %+v, want one unreadable secret that is the column", column, secrets)
		}
	}
}

func TestASecretWithoutAValueStaysWithout(t *testing.T) {
	t.Parallel()
	store := &Store{sealer: newKeyring(t)}
	retired := core.StoredSecret{
		Fingerprint: "0123", State: core.Retired,
		OfferedAt: time.Unix(0, 0).UTC(), RetiredAt: time.Unix(1, 0).UTC(),
	}
	column := sealColumn(t, store, acme, retired)
	if got := store.open(acme, column); !reflect.DeepEqual(got, []core.StoredSecret{retired}) {
		t.Errorf("got %+v, want %+v", got, retired)
	}
	if want := `[{"fingerprint":"0123","state":"retired","offered_at":0,"retired_at":1}]`; column != want {
		t.Errorf("got %s, want %s", column, want)
	}
}

func TestASecretIsNotStoredUnderAForeignFingerprint(t *testing.T) {
	t.Parallel()
	store := &Store{sealer: newKeyring(t)}
	mismatched := usable(newSecret(t, "a secret of the tenant"))
	mismatched.Fingerprint = newSecret(t, "another secret of it").Fingerprint()
	if column, err := store.seal(acme, []core.StoredSecret{mismatched}); err == nil {
		t.Errorf("got %s, want an error: it would never open", column)
	}
}

// broken is a sealer that returns what it holds.
type broken struct {
	sealed []byte
	err    error
}

func (b broken) Encrypt(_, _ []byte) ([]byte, error) { return b.sealed, b.err }
func (b broken) Decrypt(_, _ []byte) ([]byte, error) { return b.sealed, b.err }

func TestASealerThatFailsStoresNothing(t *testing.T) {
	t.Parallel()
	secrets := []core.StoredSecret{usable(newSecret(t, "a secret of the tenant"))}
	unavailable := errors.New("key management is down")
	if column, err := (&Store{sealer: broken{err: unavailable}}).seal(acme, secrets); !errors.Is(err, unavailable) {
		t.Errorf("got %q, %v, want %v", column, err, unavailable)
	}
	if column, err := (&Store{sealer: broken{}}).seal(acme, secrets); err == nil {
		t.Errorf("got %q, want an error: the secret would be lost", column)
	}
}

func TestAssociatedDataOfTwoPlacesDiffers(t *testing.T) {
	t.Parallel()
	a := associatedData(core.Key{AppKey: "ab", ClientKey: "c"}, "d")
	for _, b := range [][]byte{
		associatedData(core.Key{AppKey: "a", ClientKey: "bc"}, "d"),
		associatedData(core.Key{AppKey: "ab", ClientKey: ""}, "cd"),
		associatedData(core.Key{AppKey: "ab", ClientKey: "cd"}, ""),
		associatedData(core.Key{AppKey: "AB", ClientKey: "c"}, "d"),
	} {
		if bytes.Equal(a, b) {
			t.Errorf("two places have the associated data %q", a)
		}
	}
}
