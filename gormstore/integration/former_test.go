package integration

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"gorm.io/gorm"
)

// formerColumns are the columns of hostbond_installations from before there were app-wide secrets, by type; "!" stands
// for NOT NULL.
const formerColumns = `
	app_key key!; client_key key!; revision int!; deleted bool!; state word!; signing word!; base_url text!;
	display_url text!; display_url_servicedesk_help_center text!; product_type text!; description text!;
	server_version text!; plugins_version text!; service_entitlement_number text!; entitlement_id text!;
	entitlement_number text!; oauth_client_id text!; cloud_id text!; installation_id text!; base_url_digest int;
	installation_id_digest int; secrets text!; secret_version int!; last_offer int; run_fingerprint word!;
	run_started_at int; run_arrived_at int; proven word!; contested bool!; watermark int; applied bytes;
	disabled bool!; activation_watermark int; superseded_by key!; created_at int; updated_at int; seen_at int;
	refused_at int; refused_reason word!`

var formerTypes = map[databases.Kind]map[string]string{
	databases.SQLite: {
		"key": "text", "word": "text", "text": "text", "int": "integer", "bool": "numeric", "bytes": "blob",
	},
	databases.PostgreSQL: {
		"key": `varchar(255) COLLATE "C"`, "word": `varchar(64) COLLATE "C"`, "text": `text COLLATE "C"`,
		"int": "bigint", "bool": "boolean", "bytes": "bytea",
	},
	databases.MySQL: {
		"key": "varbinary(255)", "word": "varbinary(64)", "text": "mediumblob",
		"int": "bigint", "bool": "boolean", "bytes": "longblob",
	},
}

// eachFormerColumn calls f with the name of each column, its type, and whether it is NOT NULL.
func eachFormerColumn(f func(name, kind string, required bool)) {
	for column := range strings.SplitSeq(formerColumns, ";") {
		name, kind, _ := strings.Cut(strings.TrimSpace(column), " ")
		kind, required := strings.CutSuffix(kind, "!")
		f(name, kind, required)
	}
}

// createFormer creates the table as GORM did then.
func createFormer(t *testing.T, database databases.Kind, db *gorm.DB) {
	t.Helper()
	var columns []string
	eachFormerColumn(func(name, kind string, required bool) {
		column := "`" + name + "` " + formerTypes[database][kind]
		if required {
			column += " NOT NULL"
		}
		columns = append(columns, column)
	})
	for _, statement := range []string{
		"CREATE TABLE `hostbond_installations` (" + strings.Join(columns, ",") + ",PRIMARY KEY (`app_key`,`client_key`))",
		"CREATE INDEX `hostbond_installations_base_url` ON `hostbond_installations`(`app_key`,`base_url_digest`)",
		"CREATE INDEX `hostbond_installations_installation_id` ON `hostbond_installations`(`app_key`,`installation_id_digest`)",
	} {
		if database == databases.PostgreSQL {
			statement = strings.ReplaceAll(statement, "`", `"`)
		}
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// putFormer writes a row of the app with these values, and with nothing in the other columns.
func putFormer(t *testing.T, db *gorm.DB, values map[string]any) {
	t.Helper()
	nothing := map[string]any{"key": "", "word": "", "text": "", "int": 0, "bool": false}
	row := make(map[string]any)
	eachFormerColumn(func(name, kind string, required bool) {
		if required {
			row[name] = nothing[kind]
		}
	})
	row["app_key"] = appKey
	maps.Copy(row, values)
	if err := db.Table("hostbond_installations").Create(row).Error; err != nil {
		t.Fatal(err)
	}
}

func TestTheTableOfTheFormerVersionIsBroughtUpToDateWithItsRows(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		db := database.Open(t, nil)
		createFormer(t, database.Kind, db)
		own := ownSecrets(t, "a secret of its own")[0]
		putFormer(t, db, map[string]any{
			"client_key": "acme", "revision": 3, "state": "installed", "signing": "RS256", "secret_version": 1,
			"secrets": fmt.Sprintf(`[{"fingerprint":"%s","state":"usable","offered_at":1700000000,"sealed":"%s"}]`,
				own.Fingerprint, base64.StdEncoding.EncodeToString([]byte(own.Value.Reveal()))),
			"last_offer": 1700000000, "seen_at": 1700003600, "refused_at": 1700007200, "refused_reason": "stale",
		})
		putFormer(t, db, map[string]any{"client_key": "deleted", "revision": 7, "deleted": true})

		store := databases.NewStore(t, db, gormstore.InsecureNoSealing())
		acme := get(t, store, "acme")
		wantValues(t, acme, "a secret of its own")
		activity := core.Activity{
			SeenAt: time.Unix(1700003600, 0).UTC(), RefusedAt: time.Unix(1700007200, 0).UTC(), RefusedReason: "stale",
		}
		if acme.Revision != 3 || acme.State != core.Installed || acme.Activity != activity {
			t.Errorf("got revision %d, state %s and the activity %+v, want 3, installed and %+v",
				acme.Revision, acme.State, acme.Activity, activity)
		}
		wantBindings(t, store, nil)

		// What is new can be written to what is old.
		activity.FirstUsed, activity.FirstUsedAt = own.Fingerprint, time.Unix(1700010800, 0).UTC()
		activity.DesyncSuspectedAt = time.Unix(1700014400, 0).UTC()
		if err := store.Touch(t.Context(), acme.Key, activity); err != nil {
			t.Fatal(err)
		}
		acme.Secrets = append(acme.Secrets, bindTo(t, newerAppSecret)...)
		put(t, store, acme)
		if got := get(t, store, "acme").Activity; got != activity {
			t.Errorf("got the activity %+v, want %+v", got, activity)
		}
		wantBindings(t, store, map[string]int{newerAppSecret: 1})

		deleted := &core.Installation{Key: core.Key{AppKey: appKey, ClientKey: "deleted"}, State: core.Installed}
		if _, err := store.Get(t.Context(), deleted.Key); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a deleted row: got %v, want %v", err, core.ErrNotFound)
		}
		if revision, err := store.Put(t.Context(), deleted); err != nil || revision <= 7 {
			t.Errorf("a deleted row that is put again: got revision %d, %v, want one above 7", revision, err)
		}

		// The index is there too, and a second migration finds nothing to do.
		if installations := gormstore.Models()[0]; !db.Migrator().HasIndex(installations, "hostbond_installations_bindings") {
			t.Error("the index of the bindings is missing")
		}
		recorder := newRecorder()
		databases.NewStore(t, database.Open(t, &gorm.Config{Logger: recorder}), newKeyring(t))
		if slices.ContainsFunc(recorder.statements, definition.MatchString) {
			t.Errorf("a second migration: got changes, want none:\n%q", recorder.statements)
		}
	})
}
