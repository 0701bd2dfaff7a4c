package integration

import (
	"errors"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

// No database has rows under these: PostgreSQL has no text with a NUL or bad UTF-8, MySQL no such long keys.
var impossible = []string{"nul\x00", "\x00", "not UTF-8 \xff", strings.Repeat("k", 256)}

func TestAKeyThatCannotBeIsNotFoundRatherThanAnError(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		store := databases.NewStore(t, database.Open(t, nil), newKeyring(t))
		for _, text := range impossible {
			for _, key := range []core.Key{{AppKey: appKey, ClientKey: text}, {AppKey: text, ClientKey: "acme"}} {
				if _, err := store.Get(t.Context(), key); !errors.Is(err, core.ErrNotFound) {
					t.Errorf("Get(%+q): got %v, want %v", key, err, core.ErrNotFound)
				}
				if err := store.Touch(t.Context(), key, core.Activity{}); !errors.Is(err, core.ErrNotFound) {
					t.Errorf("Touch(%+q): got %v, want %v", key, err, core.ErrNotFound)
				}
				if err := store.Delete(t.Context(), key, 1); !errors.Is(err, core.ErrNotFound) {
					t.Errorf("Delete(%+q): got %v, want %v", key, err, core.ErrNotFound)
				}
			}
			if keys, err := store.Find(t.Context(), appKey, core.ByBaseURL, text); err != nil || len(keys) != 0 {
				t.Errorf("Find(%+q): got %v, %v, want none", text, keys, err)
			}
		}
	})
}

func TestTextThatOneDatabaseWouldNotTakeIsRefusedByAll(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		store := databases.NewStore(t, database.Open(t, nil), newKeyring(t))
		refused := func(err error, what, text string) {
			t.Helper()
			if err == nil || errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "gormstore: ") {
				t.Errorf("%s %+q: got %v, want an error of the package", what, text, err)
			}
		}
		for _, text := range impossible {
			for _, key := range []core.Key{{AppKey: appKey, ClientKey: text}, {AppKey: text, ClientKey: "acme"}} {
				_, err := store.Put(t.Context(), &core.Installation{Key: key})
				refused(err, "Put under the key", text)
				err = store.Revoke(t.Context(), core.Revocation{AppKey: key.AppKey, ClientKey: key.ClientKey})
				refused(err, "Revoke for the key", text)
			}
			_, err := store.Claim(t.Context(), core.Claim{AppKey: text})
			refused(err, "Claim for the app", text)
			err = store.Revoke(t.Context(), core.Revocation{AppKey: appKey, Fingerprint: core.Fingerprint(text)})
			refused(err, "Revoke of the fingerprint", text)
		}
		i := &core.Installation{Key: core.Key{AppKey: appKey, ClientKey: "acme"}}
		i.Site.Description = "nul\x00"
		_, err := store.Put(t.Context(), i)
		refused(err, "Put with the description", i.Site.Description)
		if _, err := store.Get(t.Context(), i.Key); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("after a Put that was refused: got %v, want %v", err, core.ErrNotFound)
		}
	})
}
