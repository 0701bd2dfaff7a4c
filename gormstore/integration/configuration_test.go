package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/storetest"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
	"gorm.io/plugin/dbresolver"
)

// unusual is a configuration with everything set that an application may want for tables of its own.
func unusual(prepare bool) *gorm.Config {
	return &gorm.Config{
		Logger:                logger.Discard,
		NamingStrategy:        schema.NamingStrategy{TablePrefix: "app_", SingularTable: true, NoLowerCase: true},
		NowFunc:               func() time.Time { return time.Unix(1, 0) },
		PrepareStmt:           prepare,
		TranslateError:        true,
		QueryFields:           true,
		AllowGlobalUpdate:     true,
		FullSaveAssociations:  true,
		PropagateUnscoped:     true,
		CreateBatchSize:       1,
		DefaultContextTimeout: time.Minute,
	}
}

func TestStoreFulfilsTheContractWhateverTheConfiguration(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    databases.Kind
		options string
		prepare bool
	}{
		{"SQLite that does not wait", databases.SQLite, "_pragma=busy_timeout(0)", true},
		{"PostgreSQL in simple protocol", databases.PostgreSQL, "default_query_exec_mode=simple_protocol", false},
		{"PostgreSQL, serializable", databases.PostgreSQL, "default_transaction_isolation=serializable", true},
		{"MySQL, not strict, counting rows found", databases.MySQL, "clientFoundRows=true&sql_mode=''", true},
		{"MySQL in latin1, with values in the statements", databases.MySQL, "interpolateParams=true&collation=latin1_swedish_ci", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// What the handle carries from earlier calls is not the store's.
			db := databases.New(t, c.kind, c.options).Open(t, unusual(c.prepare)).
				Table("elsewhere").Where("1 = 0").Order("nothing").Limit(1).Clauses(clause.Locking{Strength: "NONE"})
			store := databases.NewStore(t, db, newKeyring(t))
			storetest.Run(t, func(*testing.T) core.Store { return store })
		})
	}
}

func TestReadsGoToThePrimary(t *testing.T) {
	t.Parallel()
	primary, replica := databases.New(t, databases.SQLite, ""), databases.New(t, databases.SQLite, "") // behind for ever
	replica.Store(t)

	db := primary.Open(t, nil)
	if err := db.Use(dbresolver.Register(dbresolver.Config{Replicas: []gorm.Dialector{replica.Dialector()}})); err != nil {
		t.Fatal(err)
	}
	var tables int64
	if err := db.Table("hostbond_installations").Count(&tables).Error; err != nil {
		t.Fatalf("the test is in error: the application's own reads do not go to the replica: %v", err)
	}
	store := databases.NewStore(t, db, newKeyring(t))
	storetest.Run(t, func(*testing.T) core.Store { return store })
}

func TestNewRefusesATransaction(t *testing.T) {
	t.Parallel()
	for _, prepare := range []bool{false, true} {
		db := databases.New(t, databases.SQLite, "").Open(t, &gorm.Config{PrepareStmt: prepare})
		err := db.Transaction(func(tx *gorm.DB) error {
			_, err := gormstore.New(tx, newKeyring(t))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "transaction") {
			t.Errorf("with prepared statements %t: got %v, want an error that says so", prepare, err)
		}
	}
}
