package gormstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
)

// Store is a [core.Store] in a SQL database that GORM reaches. It is safe for use from many goroutines and by any number
// of replicas on one database.
type Store struct {
	db     *gorm.DB
	sealer Sealer
	claims atomic.Uint64 // made by this process; see sweep
}

var _ core.Store = (*Store)(nil)

// New returns a store on db that seals shared secrets with sealer, which is a [Keyring] unless there is something better
// at hand. It does no I/O, and the tables must be there before the first call: see [Store.AutoMigrate].
//
// Of db only the connection, the dialect and the logger are used. Conditions, a table or a model that it carries do not
// matter, but a transaction is refused, since what a store returns must be committed, and so is a dry run. The logger
// gets to see statements without their values.
func New(db *gorm.DB, sealer Sealer) (*Store, error) {
	if db == nil {
		return nil, errors.New("gormstore: no database")
	}
	if db.Error != nil {
		return nil, fmt.Errorf("gormstore: the database handle carries an error: %w", db.Error)
	}
	if _, ok := db.Statement.ConnPool.(gorm.TxCommitter); ok {
		return nil, errors.New("gormstore: the database handle is a transaction; a store commits on its own")
	}
	if db.DryRun {
		return nil, errors.New("gormstore: the database handle is a dry run, which would store nothing")
	}
	if name := db.Name(); name != sqlite && name != postgres && name != mysql {
		// Elsewhere the columns would not be sure to keep and compare bytes.
		return nil, fmt.Errorf("gormstore: dialect %q is not supported, only %s, %s and %s are", name, sqlite, postgres, mysql)
	}
	if cannotSeal(sealer) {
		return nil, errors.New("gormstore: no sealer; shared secrets are sealed by a Keyring that has a key")
	}
	return &Store{db: session(db), sealer: sealer}, nil
}

// cannotSeal finds what is left when the error of [NewKeyring] or [ParseKeyring] was ignored, or neither was called.
func cannotSeal(sealer Sealer) bool {
	switch keys := sealer.(type) {
	case nil:
		return true
	case *Keyring:
		return keys == nil || len(keys.keys) == 0
	case Keyring:
		return len(keys.keys) == 0
	default:
		return false
	}
}

// Models returns the models of all tables, for an app that migrates them along with its own:
//
//	err := db.AutoMigrate(append(gormstore.Models(), &Project{})...)
//
// Migrating twice changes nothing, but of two processes that do it at once one may fail; [Store.AutoMigrate]
// tries again. The tables and columns are described in the package comment.
func Models() []any {
	return []any{&installationRow{}, &claimRow{}, &revocationRow{}}
}

// migrations is how often AutoMigrate tries.
const migrations = 5

// AutoMigrate creates the tables or brings them up to date. Replicas may call it at the same time.
func (s *Store) AutoMigrate(ctx context.Context) error {
	// GORM looks whether a table or an index is there and then creates it, so that of two replicas one fails. It gets
	// further the next time, because what the other has created is found then.
	for try := 1; ; try++ {
		err := s.run(ctx, "create tables", func(db *gorm.DB) error { return db.AutoMigrate(Models()...) })
		if err == nil || ctx.Err() != nil || try == migrations {
			return err
		}
	}
}
