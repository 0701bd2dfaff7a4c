package integration

import (
	"cmp"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// database is a kind of database, set up in some way.
type database struct {
	name   string
	create func(testing.TB) connect // makes a new one
}

// connect returns a way to reach one database. Each call stands for another replica.
type connect func() gorm.Dialector

// databases are those that everything is tested on, each as the package comment of gormstore recommends it.
var databases = []database{
	{"SQLite", createSQLite(recommended)},
	{"PostgreSQL", createPostgres(func(*pgx.ConnConfig) {})},
	{"MySQL", createMySQL(func(*mysqldriver.Config) {})},
}

const recommended = "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"

func createSQLite(options string) func(t testing.TB) connect {
	return func(t testing.TB) connect {
		dsn := "file:" + filepath.Join(t.TempDir(), "hostbond.db") + options
		return func() gorm.Dialector { return sqlite.Open(dsn) }
	}
}

// createPostgres gives the database a collation that ignores case and punctuation at first, unlike byte order.
func createPostgres(set func(*pgx.ConnConfig)) func(t testing.TB) connect {
	return func(t testing.TB) connect {
		config, err := pgx.ParseConfig(dsn(t, "HOSTBOND_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres"))
		if err != nil {
			t.Fatal(err)
		}
		server, name := stdlib.OpenDB(*config), unusedName()
		createOn(t, server,
			"CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en'",
			"DROP DATABASE "+name+" WITH (FORCE)")

		config.Database = name
		config.RuntimeParams["synchronous_commit"] = "off" // for speed
		set(config)
		return func() gorm.Dialector { return postgres.New(postgres.Config{Conn: stdlib.OpenDB(*config)}) }
	}
}

// createMySQL gives the database a collation that ignores case and accents.
func createMySQL(set func(*mysqldriver.Config)) func(t testing.TB) connect {
	return func(t testing.TB) connect {
		config, err := mysqldriver.ParseDSN(dsn(t, "HOSTBOND_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/"))
		if err != nil {
			t.Fatal(err)
		}
		server, err := sql.Open("mysql", config.FormatDSN())
		if err != nil {
			t.Fatal(err)
		}
		name := unusedName()
		createOn(t, server,
			"CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
			"DROP DATABASE "+name)

		config.DBName = name
		set(config)
		return func() gorm.Dialector { return mysql.Open(config.FormatDSN()) }
	}
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
func createOn(t testing.TB, server *sql.DB, create, drop string) {
	t.Helper()
	if _, err := server.ExecContext(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.Exec(drop); err != nil {
			t.Error(err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// onEach runs a test on a new database of every kind, without tables.
func onEach(t *testing.T, test func(*testing.T, connect)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d.create(t))
		})
	}
}

// open opens the database with GORM and closes it after the test. Without a configuration it logs nothing.
func open(t testing.TB, dialector gorm.Dialector, config *gorm.Config) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(dialector, cmp.Or(config, &gorm.Config{Logger: logger.Discard}))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(16) // the servers' limit is shared by all tests
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// newStore returns a store on db, with its tables.
func newStore(t testing.TB, db *gorm.DB, sealer gormstore.Sealer) *gormstore.Store {
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

// newKeyring returns a keyring of new keys.
func newKeyring(t testing.TB) *gormstore.Keyring {
	t.Helper()
	return parseKeyring(t, gormstore.GenerateKey())
}

// parseKeyring returns the keyring of the keys, newest first.
func parseKeyring(t testing.TB, keys ...string) *gormstore.Keyring {
	t.Helper()
	keyring, err := gormstore.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}
