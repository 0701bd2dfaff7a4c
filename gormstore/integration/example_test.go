package integration

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/glebarez/sqlite"
	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"gorm.io/gorm"
)

// A store in an SQLite file. The seal key would come from the environment or from a secret manager.
func Example() {
	dir, err := os.MkdirTemp("", "hostbond")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := gorm.Open(sqlite.Open(filepath.Join(dir, "hostbond.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"), &gorm.Config{})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := gormstore.ParseKeyring(gormstore.GenerateKey())
	if err != nil {
		log.Fatal(err)
	}
	store, err := gormstore.New(db, keys)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.AutoMigrate(context.Background()); err != nil {
		log.Fatal(err)
	}

	// The store goes into core.Config. This is what core does with it:
	acme := &core.Installation{Key: core.Key{AppKey: "com.example.app", ClientKey: "acme"}, State: core.Installed}
	revision, err := store.Put(context.Background(), acme)
	fmt.Println(revision, err)
	_, err = store.Put(context.Background(), acme) // by a replica that has not seen the first one
	fmt.Println(err)

	// Output:
	// 1 <nil>
	// hostbond: installation was changed meanwhile
}
