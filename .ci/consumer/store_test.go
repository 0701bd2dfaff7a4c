package main

import (
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/storetest"
)

// The authors of another store run the conformance suite from outside, as here.
func TestStoreConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) core.Store { return memstore.New() })
}
