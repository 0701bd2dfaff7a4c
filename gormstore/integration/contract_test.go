package integration

import (
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/storetest"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

func TestStoreFulfilsTheContract(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		store := databases.NewStore(t, database.Open(t, nil), newKeyring(t))
		storetest.Run(t, func(*testing.T) core.Store { return store })
	})
}
