package integration

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

const appKey = "com.example.app"

func newSecret(t testing.TB, value string) core.Secret {
	t.Helper()
	secret, err := core.NewSecret(value)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// ownSecrets returns usable secrets of the given values.
func ownSecrets(t testing.TB, values ...string) (secrets []core.StoredSecret) {
	t.Helper()
	for _, value := range values {
		secret := newSecret(t, value)
		secrets = append(secrets, core.StoredSecret{
			Fingerprint: secret.Fingerprint(), State: core.Usable, OfferedAt: time.Unix(1700000000, 0), Value: secret,
		})
	}
	return secrets
}

// install puts an installation with secrets of the given values and returns it as stored.
func install(t testing.TB, store *gormstore.Store, clientKey string, values ...string) *core.Installation {
	t.Helper()
	put(t, store, &core.Installation{
		Key:     core.Key{AppKey: appKey, ClientKey: clientKey},
		State:   core.Installed,
		Signing: core.SignedRS256,
		Site:    core.Site{BaseURL: "https://" + clientKey + ".example"},
		Secrets: ownSecrets(t, values...),
	})
	return get(t, store, clientKey)
}

func put(t testing.TB, store *gormstore.Store, i *core.Installation) {
	t.Helper()
	if _, err := store.Put(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, store *gormstore.Store, clientKey string) *core.Installation {
	t.Helper()
	i, err := store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: clientKey})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// wantValues checks the values of all secrets; "" stands for an unreadable one.
func wantValues(t *testing.T, i *core.Installation, values ...string) {
	t.Helper()
	if len(i.Secrets) != len(values) {
		t.Fatalf("%s: got %d secrets, want %d", i.Key.ClientKey, len(i.Secrets), len(values))
	}
	for n, want := range values {
		s := i.Secrets[n]
		if s.Value.Reveal() != want || s.Unreadable() != (want == "") || (s.Sealed != nil) != (want == "") {
			t.Errorf("%s: secret %d: unreadable %t, want %t, or another value", i.Key.ClientKey, n, s.Unreadable(), want == "")
		}
	}
}

func TestSecretsOfASwappedRowDoNotOpen(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		store := databases.NewStore(t, db, newKeyring(t))
		install(t, store, "acme", "the secret of acme")
		install(t, store, "thief", "the secret of the thief")

		var column string
		if err := db.Raw("SELECT secrets FROM hostbond_installations WHERE client_key = 'thief'").Scan(&column).Error; err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("UPDATE hostbond_installations SET secrets = ? WHERE client_key = 'acme'", column).Error; err != nil {
			t.Fatal(err)
		}
		wantValues(t, get(t, store, "acme"), "")
		wantValues(t, get(t, store, "thief"), "the secret of the thief")

		// The same by the key: a whole row under another's.
		for _, rename := range [][2]string{{"acme", "gone"}, {"thief", "acme"}} {
			result := db.Exec("UPDATE hostbond_installations SET client_key = ? WHERE client_key = ?", rename[1], rename[0])
			if result.Error != nil || result.RowsAffected != 1 {
				t.Fatalf("got %v, %d rows, want 1", result.Error, result.RowsAffected)
			}
		}
		wantValues(t, get(t, store, "acme"), "")
	})
}

func TestALostSealKeyLosesNoSecret(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		key := gormstore.GenerateKey()
		db := database.Open(t, nil)
		store := databases.NewStore(t, db, parseKeyring(t, key))
		install(t, store, "a", "the first secret of a", "the second secret of a")
		install(t, store, "b", "the only secret of b")

		// A replica with another key reads every row, and adds what it is sent.
		without := databases.NewStore(t, db, newKeyring(t))
		list, err := without.List(t.Context(), appKey, "", 10)
		if err != nil || len(list) != 2 {
			t.Fatalf("List without the key: got %d rows, %v, want 2", len(list), err)
		}
		wantValues(t, list[0], "", "")
		wantValues(t, list[1], "")

		secret := newSecret(t, "the third secret of a")
		list[0].Secrets = append(list[0].Secrets, core.StoredSecret{
			Fingerprint: secret.Fingerprint(), State: core.Usable, Value: secret,
		})
		put(t, without, list[0])
		wantValues(t, get(t, without, "a"), "", "", "the third secret of a")

		// With the key back, all of them open.
		wantValues(t, get(t, store, "a"), "the first secret of a", "the second secret of a", "")
		wantValues(t, get(t, store, "b"), "the only secret of b")
	})
}

func TestSealKeysRotate(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		oldKey, newKey := gormstore.GenerateKey(), gormstore.GenerateKey()
		db := database.Open(t, nil)
		install(t, databases.NewStore(t, db, parseKeyring(t, oldKey)), "a", "the only secret of a")
		install(t, databases.NewStore(t, db, parseKeyring(t, oldKey)), "b", "the only secret of b")

		both := databases.NewStore(t, db, parseKeyring(t, newKey, oldKey))
		wantValues(t, get(t, both, "a"), "the only secret of a")

		onlyNew := databases.NewStore(t, db, parseKeyring(t, newKey))
		wantValues(t, get(t, onlyNew, "a"), "")
		if err := both.Reseal(t.Context(), appKey); err != nil {
			t.Fatal(err)
		}
		wantValues(t, get(t, onlyNew, "a"), "the only secret of a")
		wantValues(t, get(t, onlyNew, "b"), "the only secret of b")
	})
}

func TestNoFileOfSQLiteHoldsASecret(t *testing.T) {
	t.Parallel()
	const value = "a secret that is easy to find"
	for name, c := range map[string]struct {
		sealer gormstore.Sealer
		want   bool
	}{"sealed": {newKeyring(t), false}, "in clear": {gormstore.InsecureNoSealing(), true}} {
		dir := t.TempDir()
		db := databases.InFile(filepath.Join(dir, "hostbond.db"), "").Open(t, nil)
		store := databases.NewStore(t, db, c.sealer)
		i := install(t, store, "acme", value)
		i.Site.Description = "written twice"
		put(t, store, i)

		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) < 2 {
			t.Fatalf("got files %q, %v, want the database and its log", files, err)
		}
		found := false
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))} {
				found = found || bytes.Contains(content, []byte(form))
			}
		}
		if found != c.want {
			t.Errorf("%s: found the secret %t, want %t", name, found, c.want)
		}
	}
}
