package exampleapp

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/hostbond/hostbond/gormstore"
)

func TestEveryVariableHasADefault(t *testing.T) {
	for _, name := range []string{"PORT", "DATABASE_URL", "SEAL_KEYS", "APP_KEY", "BASE_URL", "ADMIN_TOKEN"} {
		t.Setenv(name, "")
	}
	s, err := SettingsFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if s.Admin != "" {
		t.Errorf("got admin token %q, want none, and so nothing for an operator", s.Admin)
	}
	if s.Port != "8080" || s.Database != "hostbond.db" || s.Config.AppKey != "com.example.hostbond" {
		t.Errorf("got port %q, database %q, app key %q; want 8080, hostbond.db, com.example.hostbond",
			s.Port, s.Database, s.Config.AppKey)
	}
}

func TestEachFaultOfTheEnvironmentIsNamed(t *testing.T) {
	t.Setenv("PORT", "65536")
	t.Setenv("DATABASE_URL", "oracle://db.example.com/bonds")
	t.Setenv("SETTLE", "soon")
	t.Setenv("APP_SECRETS", "short")
	t.Setenv("ADMIN_TOKEN", "short")
	_, err := SettingsFromEnv()
	for _, name := range []string{"PORT", "DATABASE_URL", "SETTLE", "APP_SECRETS", "ADMIN_TOKEN"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that names %s", err, name)
		}
	}
}

func TestDatabaseURLNamesASQLiteFile(t *testing.T) {
	t.Parallel()
	for databaseURL, want := range map[string]struct{ file, keyFile string }{
		"hostbond.db":           {"hostbond.db", "hostbond.db.seal-key"},
		"/data/app.db":          {"/data/app.db", "/data/app.db.seal-key"},
		"sqlite:app.db":         {"app.db", "app.db.seal-key"},
		"sqlite://app.db":       {"app.db", "app.db.seal-key"},
		"sqlite:///data/app.db": {"/data/app.db", "/data/app.db.seal-key"},
		"file:/data/app.db":     {"file:/data/app.db", "/data/app.db.seal-key"},
	} {
		dialector, err := parseDatabaseURL(databaseURL)
		if err != nil {
			t.Errorf("%s: %v", databaseURL, err)
			continue
		}
		got, _, _ := strings.Cut(dialector.(*sqlite.Dialector).DSN, "?")
		if got != want.file {
			t.Errorf("%s: got file %q, want %q", databaseURL, got, want.file)
		}
		if got := developmentKeyFile(databaseURL); got != want.keyFile {
			t.Errorf("%s: got key file %q, want %q", databaseURL, got, want.keyFile)
		}
	}
}

func TestSQLiteIsOpenedAsGormstoreRecommends(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]struct{ journal, synchronous, busy string }{
		"":                             {"wal", "2", "5000"},
		"?_pragma=synchronous(NORMAL)": {"wal", "1", "5000"},
		"?_pragma=busy_timeout(10000)": {"wal", "2", "10000"},
	} {
		dialector, err := parseDatabaseURL(filepath.Join(t.TempDir(), "app.db") + options)
		if err != nil {
			t.Fatal(err)
		}
		db, err := gorm.Open(dialector, &gorm.Config{Logger: logger.Discard})
		if err != nil {
			t.Fatal(err)
		}
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		for pragma, want := range map[string]string{
			"journal_mode": want.journal, "synchronous": want.synchronous, "busy_timeout": want.busy,
		} {
			var got string
			if err := db.Raw("PRAGMA " + pragma).Scan(&got).Error; err != nil || got != want {
				t.Errorf("with %q: PRAGMA %s: got %q, %v, want %q", options, pragma, got, err, want)
			}
		}
	}
}

func TestDatabaseURLNamesAServer(t *testing.T) {
	t.Parallel()
	const url = "postgres://app:p%40ss@db.example.com/bonds?sslmode=require"
	dialector, err := parseDatabaseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	if got := dialector.(*postgres.Dialector).DSN; got != url {
		t.Errorf("postgres: got %q, want the URL as it is", got)
	}
	if got := developmentKeyFile(url); got != "hostbond.db.seal-key" {
		t.Errorf("postgres: got key file %q, want one in the working directory", got)
	}

	for _, test := range []struct{ url, user, password, address, database, charset string }{
		{"mysql://root@127.0.0.1/bonds", "root", "", "127.0.0.1:3306", "bonds", ""},
		{"mysql://app:p%40ss%2Fw%3Ard%3F@db.example.com:3307/bonds?charset=utf8mb4", "app", "p@ss/w:rd?", "db.example.com:3307", "bonds", "utf8mb4"},
		{"mysql://app:secret@[::1]/bonds", "app", "secret", "[::1]:3306", "bonds", ""},
	} {
		dialector, err := parseDatabaseURL(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		got, err := mysqldriver.ParseDSN(dialector.(*mysql.Dialector).DSN)
		if err != nil {
			t.Errorf("%s: the driver does not read its DSN: %v", test.url, err)
			continue
		}
		if got.User != test.user || got.Passwd != test.password || got.Addr != test.address || got.DBName != test.database || got.Net != "tcp" {
			t.Errorf("%s: got user %q, password %q, %s %q, database %q, want %+v",
				test.url, got.User, got.Passwd, got.Net, got.Addr, got.DBName, test)
		}
		if test.charset != "" && !strings.Contains(dialector.(*mysql.Dialector).DSN, "charset="+test.charset) {
			t.Errorf("%s: the options are not in the DSN", test.url)
		}
	}
}

func TestWhatIsNoDatabaseIsRefusedInClearWords(t *testing.T) {
	t.Parallel()
	for databaseURL, want := range map[string]string{
		"oracle://app:hush@db.example.com/bonds": "want a SQLite file, postgres://… or mysql://…",
		":memory:":                               "each connection would have a database in memory of its own",
		"mysql://app:hush@db.example.com":        "slash",
		"mysql://app:hush@db example/bonds":      "not a URL",
		"mysql://app:hush@127.0.0.1:1/bonds":     "127.0.0.1:1",
		"postgres://app:hush@127.0.0.1:1/bonds":  "127.0.0.1:1",
		"/nonexistent/directory/app.db":          "unable to open database file",
	} {
		_, _, err := OpenStore(t.Context(), databaseURL, keyring(t, gormstore.GenerateKey()))
		if err == nil || !strings.HasPrefix(err.Error(), "DATABASE_URL: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one of DATABASE_URL with %q", databaseURL, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the password is in the error: %v", databaseURL, err)
		}
	}
}

func keyring(t *testing.T, keys string) *gormstore.Keyring {
	t.Helper()
	keyring, err := gormstore.ParseKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

var silent = slog.New(slog.DiscardHandler)

func TestADevelopmentKeyIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	s := Settings{Database: filepath.Join(t.TempDir(), "app.db")}
	first, err := s.sealer("http://localhost:8080", silent)
	if err != nil {
		t.Fatal(err)
	}
	file := s.Database + ".seal-key"
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("%s: got mode %o, want 600", file, got)
	}
	second, err := s.sealer("http://127.0.0.1:8080", silent)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Encrypt([]byte("a shared secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := second.Decrypt(sealed, nil); err != nil || string(opened) != "a shared secret" {
		t.Errorf("after a restart: got %q, %v, want the key of before", opened, err)
	}

	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sealer("http://localhost:8080", silent); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("with an empty key file: got %v, want an error that names %s", err, file)
	}
}

func TestADevelopmentKeyIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	s := Settings{Database: filepath.Join(t.TempDir(), "app.db")}
	for _, baseURL := range []string{
		"https://app.example.com", "http://192.168.1.2:8080", "https://localhost.example.com", "https://evillocalhost",
		"http://0.0.0.0:8080", "", ":",
	} {
		if _, err := s.sealer(baseURL, silent); err == nil || !strings.HasPrefix(err.Error(), "SEAL_KEYS is not set") {
			t.Errorf("BASE_URL %q: got %v, want an error about SEAL_KEYS", baseURL, err)
		}
	}
	if _, err := os.Stat(s.Database + ".seal-key"); !os.IsNotExist(err) {
		t.Errorf("got %v, want no key file", err)
	}
	for _, baseURL := range []string{
		"http://localhost:8080", "http://LocalHost", "http://app.localhost:8080", "http://127.0.0.2", "http://[::1]:8080",
	} {
		if _, err := s.sealer(baseURL, silent); err != nil {
			t.Errorf("BASE_URL %q: %v", baseURL, err)
		}
	}
}

func TestSealKeysComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := Settings{Database: filepath.Join(t.TempDir(), "app.db"), SealKeys: gormstore.GenerateKey()}
	if _, err := s.sealer("https://app.example.com", silent); err != nil {
		t.Error(err)
	}
	s.SealKeys = "k1:hush"
	if _, err := s.sealer("http://localhost:8080", silent); err == nil || !strings.HasPrefix(err.Error(), "SEAL_KEYS: ") ||
		strings.Contains(err.Error(), "hush") {
		t.Errorf("got %v, want an error about SEAL_KEYS that does not quote them", err)
	}
	if _, err := os.Stat(s.Database + ".seal-key"); !os.IsNotExist(err) {
		t.Errorf("got %v, want no key file", err)
	}
}
