package gormstore_test

import (
	"cmp"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/gormstore"
	"gorm.io/gorm"
	"gorm.io/gorm/migrator"
	"gorm.io/gorm/schema"
	"gorm.io/gorm/utils/tests"
)

// dialect is one of GORM's dialects without a database.
type dialect struct {
	tests.DummyDialector
	name string
}

func (d dialect) Name() string { return d.name }

func (dialect) DataTypeOf(field *schema.Field) string { return string(field.DataType) }

func open(t *testing.T, name string, config *gorm.Config) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(dialect{name: name}, cmp.Or(config, &gorm.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// transaction is a connection inside a transaction.
type transaction struct{ *sql.Tx }

func TestNewTakesTheDialectsItKnows(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sqlite", "postgres", "mysql"} {
		if _, err := gormstore.New(open(t, name, nil), gormstore.InsecureNoSealing()); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	failed := open(t, "sqlite", nil)
	_ = failed.AddError(errors.New("no such host"))

	keys := parse(t, gormstore.GenerateKey())
	for _, c := range []struct {
		name   string
		db     *gorm.DB
		sealer gormstore.Sealer
		want   string
	}{
		{"no database", nil, keys, "no database"},
		{"an error", failed, keys, "no such host"},
		{"a transaction", open(t, "sqlite", &gorm.Config{ConnPool: transaction{}}), keys, "transaction"},
		{"a dry run", open(t, "sqlite", &gorm.Config{DryRun: true}), keys, "dry run"},
		{"a dry session", open(t, "sqlite", nil).Session(&gorm.Session{DryRun: true}), keys, "dry run"},
		{"another dialect", open(t, "sqlserver", nil), keys, `"sqlserver"`},
		{"no sealer", open(t, "sqlite", nil), nil, "no sealer"},
		{"a keyring whose error was ignored", open(t, "sqlite", nil), (*gormstore.Keyring)(nil), "no sealer"},
		{"a keyring without a key", open(t, "sqlite", nil), gormstore.Keyring{}, "no sealer"},
		{"a pointer to one", open(t, "sqlite", nil), new(gormstore.Keyring), "no sealer"},
	} {
		store, err := gormstore.New(c.db, c.sealer)
		if err == nil || store != nil {
			t.Errorf("%s: got no error", c.name)
			continue
		}
		if got := err.Error(); !strings.HasPrefix(got, "gormstore: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want gormstore: … %s …", c.name, got, c.want)
		}
	}
}

// Databases in the field have these columns: what is listed here must stay.
var tables = map[string]struct{ key, columns, indexes string }{
	"hostbond_installations": {
		key: "app_key client_key",
		columns: "app_key client_key revision deleted state signing base_url display_url " +
			"display_url_servicedesk_help_center product_type description server_version plugins_version " +
			"service_entitlement_number entitlement_id entitlement_number oauth_client_id cloud_id installation_id " +
			"base_url_digest installation_id_digest secrets bindings secret_version last_offer run_fingerprint run_started_at " +
			"run_arrived_at proven contested watermark applied disabled activation_watermark superseded_by created_at " +
			"updated_at seen_at refused_at refused_reason first_used first_used_at desync_suspected_at",
		indexes: "hostbond_installations_base_url hostbond_installations_installation_id hostbond_installations_bindings",
	},
	"hostbond_claims": {
		key:     "app_key id",
		columns: "app_key id body claimed_at expires_at",
		indexes: "hostbond_claims_expires_at",
	},
	"hostbond_revocations": {
		key:     "app_key client_key fingerprint",
		columns: "app_key client_key fingerprint reason revoked_at",
	},
}

// parsed returns the schemas of the models, for an app with its own idea of names.
func parsed(t *testing.T) map[string]*schema.Schema {
	t.Helper()
	naming := schema.NamingStrategy{TablePrefix: "app_", SingularTable: true, NoLowerCase: true}
	schemas := make(map[string]*schema.Schema)
	for _, model := range gormstore.Models() {
		s, err := schema.Parse(model, new(sync.Map), naming)
		if err != nil {
			t.Fatal(err)
		}
		schemas[s.Table] = s
	}
	return schemas
}

func TestTablesHaveTheirNamesWhateverTheNamingStrategy(t *testing.T) {
	t.Parallel()
	schemas := parsed(t)
	if len(schemas) != len(tables) {
		t.Errorf("got %d tables, want %d", len(schemas), len(tables))
	}
	for name, want := range tables {
		s, ok := schemas[name]
		if !ok {
			t.Errorf("%s: missing", name)
			continue
		}
		if got := strings.Join(s.PrimaryFieldDBNames, " "); got != want.key {
			t.Errorf("%s: got primary key %s, want %s", name, got, want.key)
		}
		if got := strings.Join(s.DBNames, " "); got != want.columns {
			t.Errorf("%s: got columns %s, want %s", name, got, want.columns)
		}
		var indexes []string
		for _, index := range s.ParseIndexes() {
			indexes = append(indexes, index.Name)
		}
		if got := strings.Join(indexes, " "); got != want.indexes {
			t.Errorf("%s: got indexes %s, want %s", name, got, want.indexes)
		}
	}
}

func TestGORMSetsNoColumnByItself(t *testing.T) {
	t.Parallel()
	for table, s := range parsed(t) {
		for _, field := range s.Fields {
			if field.AutoCreateTime != 0 || field.AutoUpdateTime != 0 || field.HasDefaultValue || field.AutoIncrement {
				t.Errorf("%s.%s is set by GORM", table, field.DBName)
			}
		}
		if len(s.QueryClauses)+len(s.DeleteClauses) != 0 {
			t.Errorf("%s is deleted softly", table)
		}
	}
}

func TestTextIsKeptByteByByteInEveryDialect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ dialect, column, want string }{
		{"sqlite", "client_key", "text"},
		{"postgres", "client_key", `varchar(255) COLLATE "C"`},
		{"mysql", "client_key", "varbinary(255)"},
		{"sqlite", "base_url", "text"},
		{"postgres", "base_url", `text COLLATE "C"`},
		{"mysql", "base_url", "mediumblob"},
		{"mysql", "secrets", "mediumblob"},
		{"mysql", "state", "varbinary(64)"},
	} {
		db := open(t, c.dialect, nil)
		field := parsed(t)["hostbond_installations"].FieldsByDBName[c.column]
		got := migrator.Migrator{Config: migrator.Config{DB: db, Dialector: db.Dialector}}.FullDataTypeOf(field).SQL
		if want := c.want + " NOT NULL"; got != want {
			t.Errorf("%s, %s: got %s, want %s", c.dialect, c.column, got, want)
		}
	}
}
