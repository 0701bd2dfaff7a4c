// Package gormstore keeps hostbond's installations in a SQL database that GORM v2 reaches: SQLite, PostgreSQL, MySQL or
// MariaDB. It imports no driver.
//
//	keys, err := gormstore.ParseKeyring(os.Getenv("SEAL_KEYS")) // gormstore.GenerateKey() made it once
//	store, err := gormstore.New(db, keys)
//	err = store.AutoMigrate(ctx)
//	app, err := core.New(core.Config{AppKey: "com.example.app", BaseURL: baseURL, Store: store})
//
// Any number of replicas may share a database, and start at once. They need no other coordination, but the same seal
// keys. To migrate the tables along with the app's own models, give [Models] to GORM's AutoMigrate, in one process at a
// time.
//
// # Secrets
//
// Shared secrets are sealed before GORM sees them, by a [Keyring] or by any other [Sealer]. What is sealed for one tenant
// opens for no other, so to write to the database is not enough to sign as somebody. A secret that does not open is an
// unreadable one, not an error: requests of its tenant are answered 503, its next signed installation heals it, and its
// sealed form stays as it is, in case the key comes back.
//
// Neither secrets nor sealed values get into GORM's log, which shows the store's statements without their values. A
// plugin that records values by itself, for tracing say, sees sealed ones.
//
// # Tables
//
// hostbond_installations has a row for each app key and client key, with columns named after the fields of
// [core.Installation]. All of the tenant's secrets are in the column secrets, a JSON list of fingerprint, state, times and
// sealed value; of an app-wide secret that the tenant is bound to, the fingerprint is all that is stored. While the app is
// installed, the column bindings repeats the fingerprints of its usable bindings as a sorted list with commas; it is NULL
// where there is none. It is for the index hostbond_installations_bindings, which is all that [Store.Bindings] reads.
// The columns seen_at, refused_at, refused_reason, first_used, first_used_at and desync_suspected_at are the tenant's
// activity, which changes without a new revision.
//
// hostbond_claims has the tokens of lifecycle callbacks that were used, until some time after they have expired, and
// hostbond_revocations the secrets that were revoked. Times are Unix seconds, NULL being no time.
//
// Text is kept and compared byte by byte: as TEXT in SQLite, with COLLATE "C" in PostgreSQL, and as VARBINARY or
// MEDIUMBLOB in MySQL, where text types would mix up keys that differ in case, accents or trailing spaces. It must be
// UTF-8 without NUL.
//
// Every write is one statement. A row is written on condition that its revision is still the one that was read. A deleted
// installation leaves its keys and its revision behind, in a row whose column deleted is true; its secrets are gone.
// To count installations, say WHERE NOT deleted.
//
// # SQLite
//
// SQLite has one writer at a time. With these settings readers do not wait for it, and writers queue instead of failing;
// here for github.com/glebarez/sqlite, which needs no C compiler:
//
//	hostbond.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate
//
// With synchronous(FULL) a callback that was answered survives a loss of power. With NORMAL it survives a crash of the
// process only, and a site whose new secret is lost is locked out until its next installed callback. The file must be on a
// local disk. A database in memory is not shared by the connections of a pool.
//
// # PostgreSQL and MySQL
//
// Any isolation level will do. Reads must go to the primary: they do with GORM's dbresolver, but a proxy that sends reads
// to replicas by itself must not do so for these tables.
//
// Set the pool's SetMaxIdleConns to the same number as its SetMaxOpenConns. With the default of database/sql, two idle
// connections, many statements have to wait for a new one while there is load.
package gormstore
