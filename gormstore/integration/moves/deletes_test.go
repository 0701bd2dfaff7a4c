package moves

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
	"gorm.io/gorm"
)

// residue are the columns of a row that may say something when its installation was deleted.
var residue = []string{"app_key", "client_key", "revision", "deleted"}

func TestNothingIsLeftInTheDatabaseOfAnInstallationThatWasDeleted(t *testing.T) {
	for name, del := range map[string]func(context.Context, *core.App, string) error{
		"purged": func(ctx context.Context, app *core.App, _ string) error {
			m, err := app.Purge(ctx, 30*24*time.Hour, core.Batch{})
			if err == nil && m.Moved != 1 {
				err = fmt.Errorf("got %+v, want one purged", m)
			}
			return err
		},
		"erased": func(ctx context.Context, app *core.App, clientKey string) error {
			return app.Erase(ctx, clientKey)
		},
	} {
		t.Run(name, func(t *testing.T) {
			databases.Each(t, func(t *testing.T, database databases.Database) {
				db := database.Open(t, nil)
				store := databases.NewStore(t, db, databases.Keyring())
				var clock process.Clock
				app, err := inprocess.NewApp(store, func(c *core.Config) { c.Now = clock.Now })
				if err != nil {
					t.Fatal(err)
				}
				site, err := inprocess.NewSite(inprocess.Transport(app), fakehost.Config{Now: clock.Now})
				if err != nil {
					t.Fatal(err)
				}
				live(t, site, &clock)
				before, found := raw(t, db, site.ClientKey())
				if filled := len(before); !found || filled < 2*len(residue) {
					t.Fatalf("the row says %v: this shows nothing", before)
				}
				clock.SetAhead(clock.Ahead() + 31*24*time.Hour)
				if err := del(t.Context(), app.App, site.ClientKey()); err != nil {
					t.Fatal(err)
				}
				after, _ := raw(t, db, site.ClientKey())
				for column, value := range after {
					if !slices.Contains(residue, column) {
						t.Errorf("the row still says %s = %v", column, value)
					}
				}

				if _, err := site.Install(t.Context()); err != nil {
					t.Fatal(err)
				}
				row, err := store.Get(t.Context(), core.Key{AppKey: inprocess.AppKey, ClientKey: site.ClientKey()})
				if err != nil || row.SecretVersion != 1 || len(row.Secrets) != 1 || row.Activity != (core.Activity{}) {
					t.Errorf("installed again: got %+v, %v, want a first install", row, err)
				}
				if answer, err := site.Get(t.Context(), "/panel"); err != nil || answer.StatusCode != http.StatusOK {
					t.Errorf("a page of the site that is back: got %d, %v, want 200", answer.StatusCode, err)
				}
				if err := app.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// live lets a site do what leaves traces, and leave.
func live(t *testing.T, site *fakehost.Site, clock *process.Clock) {
	t.Helper()
	page := func(ctx context.Context) (fakehost.Answer, error) {
		clock.SetAhead(clock.Ahead() + 16*time.Minute)
		return site.Get(ctx, "/panel")
	}
	refused := func(ctx context.Context) (fakehost.Answer, error) {
		callback := site.Callback(fakehost.Installed)
		callback.Token.Claims["aud"] = "https://other.example.com"
		return callback.Post(ctx)
	}
	for _, step := range []func(context.Context) (fakehost.Answer, error){
		site.Install, page, page, site.Rotate, page, page, site.Disable, refused, site.Uninstall,
	} {
		if _, err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.SetAhead(clock.Ahead() + time.Second)
	}
}

// raw returns what the database has of an installation, but for the columns that say nothing.
func raw(t *testing.T, db *gorm.DB, clientKey string) (says map[string]any, found bool) {
	t.Helper()
	var rows []map[string]any
	if err := db.Table("hostbond_installations").Where("client_key = ?", clientKey).Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		return nil, false
	}
	for column, value := range rows[0] {
		text := fmt.Sprintf("%s", value) // of a driver that has bytes for it, too
		if value == nil || reflect.ValueOf(value).IsZero() || text == "" || text == "[]" || text == "null" {
			delete(rows[0], column)
		}
	}
	return rows[0], true
}
