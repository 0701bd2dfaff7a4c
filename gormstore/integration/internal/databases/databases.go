// Package databases makes databases for tests: of every kind that gormstore supports, and dropped after the test.
//
// SQLite is always there. Where PostgreSQL and MySQL are is in the environment, see [New]; without it their tests are
// skipped.
package databases

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/hostbond/hostbond/gormstore"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Kind is a kind of database.
type Kind string

// The kinds.
const (
	SQLite     Kind = "SQLite"
	PostgreSQL Kind = "PostgreSQL"
	MySQL      Kind = "MySQL" // or MariaDB
)

// Kinds are those that everything is tested on.
var Kinds = []Kind{SQLite, PostgreSQL, MySQL}

// recommended are the options of SQLite that the package comment of gormstore recommends.
const recommended = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"

// Database is one database. Another process can open it too, given the two values.
type Database struct {
	Kind Kind
	DSN  string // the data source name that the driver takes
}

// Each runs a test on a new database of every kind, without tables.
func Each(t *testing.T, test func(*testing.T, Database)) {
	t.Helper()
	for _, kind := range Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, New(t, kind, ""))
		})
	}
}

// New returns a new database without tables. The options, in the form of a URL's query, go to the driver; SQLite gets
// the recommended ones if there are none.
func New(t testing.TB, kind Kind, options string) Database {
	t.Helper()
	switch kind {
	case PostgreSQL:
		return newPostgres(t, options)
	case MySQL:
		return newMySQL(t, options)
	default:
		return InFile(filepath.Join(t.TempDir(), "hostbond.db"), options)
	}
}

// InFile returns the SQLite database in a file.
func InFile(path, options string) Database {
	return Database{SQLite, "file:" + path + "?" + cmp.Or(options, recommended)}
}

// newPostgres gives the database a collation that ignores case and punctuation at first, unlike byte order.
func newPostgres(t testing.TB, options string) Database {
	server := dsn(t, "HOSTBOND_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
	name := unusedName()
	createOn(t, "pgx", server,
		"CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'",
		"DROP DATABASE "+name+" WITH (FORCE)")

	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		t.Fatal("HOSTBOND_TEST_POSTGRES: want a URL that begins with postgres://")
	}
	u.Path = "/" + name
	u.RawQuery = strings.Trim(u.RawQuery+"&"+options, "&")
	return Database{PostgreSQL, u.String()}
}

// newMySQL gives the database a collation that ignores case and accents.
func newMySQL(t testing.TB, options string) Database {
	server := dsn(t, "HOSTBOND_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/")
	name := unusedName()
	createOn(t, "mysql", server,
		"CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
		"DROP DATABASE "+name)

	base, query, _ := strings.Cut(server, "?")
	base = base[:strings.LastIndex(base, "/")+1] + name
	config, err := mysqldriver.ParseDSN(base + "?" + strings.Trim(query+"&"+options, "&"))
	if err != nil {
		t.Fatalf("HOSTBOND_TEST_MYSQL: %v", err)
	}
	return Database{MySQL, config.FormatDSN()}
}

// dsn returns the data source name in the environment. Without one the test is skipped.
func dsn(t testing.TB, variable, example string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("to run this, say how to reach a server: %s='%s'", variable, example)
	}
	return value
}

func unusedName() string { return "hostbond_test_" + strings.ToLower(rand.Text()[:12]) }

// createOn creates something on a server and drops it after the test.
func createOn(t testing.TB, driver, dsn, create, drop string) {
	t.Helper()
	server, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.ExecContext(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.ExecContext(context.Background(), drop); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Dialector returns what GORM opens the database with.
func (d Database) Dialector() gorm.Dialector {
	switch d.Kind {
	case PostgreSQL:
		return postgres.Open(d.DSN)
	case MySQL:
		return mysql.Open(d.DSN)
	default:
		return sqlite.Open(d.DSN)
	}
}

// Open opens the database with GORM and closes it after the test. Without a configuration it logs nothing.
func (d Database) Open(t testing.TB, config *gorm.Config) *gorm.DB {
	t.Helper()
	db, pool, err := d.open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Connect opens the database with GORM, which logs nothing, where there is no test to close it: in another process, or
// for a part of a test.
func (d Database) Connect() (db *gorm.DB, disconnect func() error, err error) {
	db, pool, err := d.open(nil)
	if err != nil {
		return nil, nil, err
	}
	return db, pool.Close, nil
}

func (d Database) open(config *gorm.Config) (*gorm.DB, *sql.DB, error) {
	db, err := gorm.Open(d.Dialector(), cmp.Or(config, &gorm.Config{Logger: logger.Discard}))
	if err != nil {
		return nil, nil, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, err
	}
	pool.SetMaxOpenConns(16) // the servers' limit is shared by all tests
	return db, pool, nil
}

// Store opens the database and returns a store on it, with its tables. Each call stands for another replica; all of
// them seal with the same key.
func (d Database) Store(t testing.TB) *gormstore.Store {
	t.Helper()
	return NewStore(t, d.Open(t, nil), Keyring())
}

// NewStore returns a store on db, with its tables.
func NewStore(t testing.TB, db *gorm.DB, sealer gormstore.Sealer) *gormstore.Store {
	t.Helper()
	store, err := gormstore.New(db, sealer)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AutoMigrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// Keyring returns the keyring of one key that everybody knows.
func Keyring() *gormstore.Keyring {
	keyring, err := gormstore.ParseKeyring("test:" + strings.Repeat("A", 43) + "=")
	if err != nil {
		panic(err)
	}
	return keyring
}
