package integration

import (
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/storetest"
)

func TestStoreFulfilsTheContract(t *testing.T) {
	onEach(t, func(t *testing.T, connect connect) {
		store := newStore(t, open(t, connect(), nil), newKeyring(t))
		storetest.Run(t, func(*testing.T) core.Store { return store })
	})
}
