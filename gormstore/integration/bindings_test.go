package integration

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"gorm.io/gorm"
)

// Secrets of the app, the same for all sites.
const (
	olderAppSecret = "the older app-wide secret"
	newerAppSecret = "the newer app-wide secret"
)

// bindTo returns usable bindings to app-wide secrets.
func bindTo(t testing.TB, values ...string) (bindings []core.StoredSecret) {
	t.Helper()
	for _, value := range values {
		bindings = append(bindings, core.StoredSecret{
			Fingerprint: newSecret(t, value).Fingerprint(), State: core.Usable, OfferedAt: time.Unix(1700000000, 0), Bound: true,
		})
	}
	return bindings
}

// bound puts an installation with bindings and returns it as stored.
func bound(t testing.TB, store *gormstore.Store, clientKey string, values ...string) *core.Installation {
	t.Helper()
	put(t, store, &core.Installation{
		Key:     core.Key{AppKey: appKey, ClientKey: clientKey},
		State:   core.Installed,
		Signing: core.SignedRS256,
		Secrets: bindTo(t, values...),
	})
	return get(t, store, clientKey)
}

func wantBindings(t *testing.T, store *gormstore.Store, want map[string]int) {
	t.Helper()
	got, err := store.Bindings(t.Context(), appKey)
	if err != nil {
		t.Fatal(err)
	}
	for value, n := range want {
		if f := newSecret(t, value).Fingerprint(); got[f] != n {
			t.Errorf("Bindings: got %d for %s, want %d", got[f], value, n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("Bindings: got counts for %d secrets, want %d", len(got), len(want))
	}
}

// column returns a column of an installation as it is stored; nil is NULL.
func column(t *testing.T, db *gorm.DB, name, clientKey string) (value *string) {
	t.Helper()
	err := db.Raw("SELECT "+name+" FROM hostbond_installations WHERE client_key = ?", clientKey).Row().Scan(&value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestTheColumnBindingsHoldsWhatAnInstalledSiteNeeds(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		store := databases.NewStore(t, db, newKeyring(t))
		older, newer := string(bindTo(t, olderAppSecret)[0].Fingerprint), string(bindTo(t, newerAppSecret)[0].Fingerprint)
		both := strings.Join(slices.Sorted(slices.Values([]string{older, newer})), ",")

		install(t, store, "own", "a secret of its own")
		bound(t, store, "one", newerAppSecret)
		bound(t, store, "both", olderAppSecret, newerAppSecret)
		bound(t, store, "both, the other way round", newerAppSecret, olderAppSecret)

		retired := bound(t, store, "retired", olderAppSecret, newerAppSecret)
		retired.Secrets[0].State = core.Retired
		put(t, store, retired)
		uninstalled := bound(t, store, "uninstalled", newerAppSecret)
		uninstalled.State = core.Uninstalled
		put(t, store, uninstalled)
		deleted := bound(t, store, "deleted", newerAppSecret)
		if err := store.Delete(t.Context(), deleted.Key, deleted.Revision); err != nil {
			t.Fatal(err)
		}

		for clientKey, want := range map[string]string{
			"one": newer, "both": both, "both, the other way round": both, "retired": newer,
		} {
			if got := column(t, db, "bindings", clientKey); got == nil || *got != want {
				t.Errorf("%s: got the bindings %v, want %s", clientKey, got, want)
			}
		}
		for _, clientKey := range []string{"own", "uninstalled", "deleted"} {
			if got := column(t, db, "bindings", clientKey); got != nil {
				t.Errorf("%s: got the bindings %s, want NULL, which no count has to read", clientKey, *got)
			}
		}
		wantBindings(t, store, map[string]int{olderAppSecret: 2, newerAppSecret: 4})
	})
}

func TestABindingIsStoredWithoutACopyOfItsSecret(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		want := fmt.Sprintf(`[{"fingerprint":"%s","state":"usable","offered_at":1700000000,"bound":true}]`,
			newSecret(t, newerAppSecret).Fingerprint())
		for name, sealer := range map[string]gormstore.Sealer{
			"sealed": newKeyring(t), "in clear": gormstore.InsecureNoSealing(),
		} {
			store := databases.NewStore(t, db, sealer)
			i := bound(t, store, name, newerAppSecret)
			if got := column(t, db, "secrets", name); *got != want {
				t.Errorf("%s: got %s, want %s", name, *got, want)
			}

			i.Secrets[0].Value, i.Secrets[0].Sealed = newSecret(t, newerAppSecret), []byte(newerAppSecret)
			put(t, store, i)
			if got := column(t, db, "secrets", name); *got != want {
				t.Errorf("%s, handed a copy: got %s, want %s", name, *got, want)
			}
		}
	})
}

func TestABindingNeedsNoSealKey(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		store := databases.NewStore(t, db, newKeyring(t))
		i := install(t, store, "acme", "a secret of its own")
		i.Secrets = append(i.Secrets, bindTo(t, newerAppSecret)...)
		put(t, store, i)

		without := databases.NewStore(t, db, newKeyring(t))
		i = get(t, without, "acme")
		put(t, without, i)
		for name, i := range map[string]*core.Installation{"read": i, "put back": get(t, without, "acme")} {
			if own := i.Secrets[0]; !own.Unreadable() || own.Sealed == nil {
				t.Fatalf("%s: the secret of its own opens without the key that sealed it", name)
			}
			if b := i.Secrets[1]; !b.Bound || b.State != core.Usable || b.Unreadable() || b.Sealed != nil {
				t.Errorf("%s: got the binding %+v, want it usable as ever: there is nothing to open", name, b)
			}
		}
		wantBindings(t, without, map[string]int{newerAppSecret: 1})
	})
}

// readAll runs a statement and hands over each field of each row that it returns, as text or bytes.
func readAll(t *testing.T, db *gorm.DB, statement string, values []any, field func(column, content string)) {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := pool.QueryContext(t.Context(), statement, values...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	fields, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
	for n := range fields {
		into[n] = &fields[n]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for n, column := range columns {
			field(column, string(fields[n]))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// atRest returns all that is stored, by table and column.
func atRest(t *testing.T, db *gorm.DB) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, table := range []string{"hostbond_installations", "hostbond_claims", "hostbond_revocations"} {
		readAll(t, db, "SELECT * FROM "+table, nil, func(column, content string) {
			all[table+"."+column] += content + "\n"
		})
	}
	return all
}

// holding returns the columns that hold the value, in clear or in a form that anybody can read.
func holding(stored map[string]string, value string) (columns []string) {
	forms := []string{
		value,
		base64.StdEncoding.EncodeToString([]byte(value)),
		base64.RawURLEncoding.EncodeToString([]byte(value)),
		hex.EncodeToString([]byte(value)),
	}
	for name, content := range stored {
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(content, form) }) {
			columns = append(columns, name)
		}
	}
	return columns
}

// A site had been given the app-wide secret before the app was told that it is one. Nothing is sealed here, so that no
// copy would go unnoticed.
func TestNoColumnHoldsAnAppWideSecret(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		store := databases.NewStore(t, db, gormstore.InsecureNoSealing())
		var app *inprocess.App
		site, err := inprocess.NewSite(inprocess.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			app.ServeHTTP(w, r)
		})), fakehost.Config{})
		if err != nil {
			t.Fatal(err)
		}
		live := func(secrets core.SecretSource) {
			t.Helper()
			if app, err = inprocess.NewApp(store, func(c *core.Config) { c.AppSecrets = secrets }); err != nil {
				t.Fatal(err)
			}
			if _, err := site.Callback(fakehost.Installed).Offer(newerAppSecret).Send(t.Context()); err != nil {
				t.Fatal(err)
			}
			if page, err := site.Get(t.Context(), "/panel"); err != nil || page.StatusCode != http.StatusOK {
				t.Fatalf("a page: got %d, %v, want 200", page.StatusCode, err)
			}
			if err := app.Close(t.Context()); err != nil { // which writes what the page has shown
				t.Fatal(err)
			}
		}

		live(nil)
		if got := holding(atRest(t, db), newerAppSecret); !slices.Equal(got, []string{"hostbond_installations.secrets"}) {
			t.Fatalf("the test is in error: as a secret of the site's own it is in %q, want it in its column", got)
		}
		live(core.StaticSecrets{newSecret(t, newerAppSecret), newSecret(t, olderAppSecret)})
		stored := atRest(t, db)
		for _, value := range []string{newerAppSecret, olderAppSecret} {
			if got := holding(stored, value); len(got) != 0 {
				t.Errorf("%s is in %q, want it nowhere", value, got)
			}
		}
		wantBindings(t, store, map[string]int{newerAppSecret: 1})
	})
}
