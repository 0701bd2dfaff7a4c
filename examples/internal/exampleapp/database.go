package exampleapp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/hostbond/hostbond/gormstore"
)

// maxConnections keeps a rush of requests from using up a server's connections, or the files that a process may open.
const maxConnections = 16

// sqliteOptions let readers go on while somebody writes, writers queue instead of failing, and a commit survive a loss
// of power.
const sqliteOptions = "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"

// OpenStore opens the database at a DATABASE_URL, with tables that are up to date, and returns how to close it.
func OpenStore(ctx context.Context, databaseURL string, sealer gormstore.Sealer) (*gormstore.Store, func() error, error) {
	dialector, err := parseDatabaseURL(databaseURL)
	if err != nil {
		return nil, nil, err
	}
	// What fails is returned and logged by its caller.
	db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	pool.SetMaxOpenConns(maxConnections)
	pool.SetMaxIdleConns(maxConnections)

	store, err := gormstore.New(db, sealer)
	if err == nil {
		err = store.AutoMigrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, pool.Close())
	}
	return store, pool.Close, nil
}

func parseDatabaseURL(databaseURL string) (gorm.Dialector, error) {
	scheme, _, found := strings.Cut(databaseURL, "://")
	switch {
	case !found || scheme == "sqlite":
		file, options, _ := strings.Cut(sqliteURL(databaseURL), "?")
		if file == ":memory:" {
			return nil, errors.New("DATABASE_URL: each connection would have a database in memory of its own; name a file")
		}
		// Options of the user's come last, and win.
		return sqlite.Open(file + "?" + sqliteOptions + "&" + options), nil
	case scheme == "postgres" || scheme == "postgresql":
		return postgres.Open(databaseURL), nil
	case scheme == "mysql":
		dsn, err := mysqlDSN(databaseURL)
		return mysql.Open(dsn), err
	default:
		return nil, errors.New("DATABASE_URL: want a SQLite file, postgres://… or mysql://…")
	}
}

// sqliteURL returns the file of a SQLite database, with options behind it if there are any.
func sqliteURL(databaseURL string) string {
	return strings.TrimPrefix(strings.TrimPrefix(databaseURL, "sqlite:"), "//")
}

// mysqlDSN writes a URL as MySQL's driver wants it. Its errors do not quote the password.
func mysqlDSN(databaseURL string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", errors.New("DATABASE_URL: not a URL")
	}
	address := u.Host
	if u.Port() == "" {
		address += ":3306"
	}
	// Without user and password, so that no error of the driver holds them.
	config, err := mysqldriver.ParseDSN("tcp(" + address + ")" + u.EscapedPath() + "?" + u.RawQuery)
	if err != nil {
		return "", fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	return config.FormatDSN(), nil
}
