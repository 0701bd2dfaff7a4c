package memstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

// Two replicas read the same installation. The second one to write is told that it has read an older one.
func Example() {
	ctx := context.Background()
	store := memstore.New()
	key := core.Key{AppKey: "com.example.app", ClientKey: "a-client-key"}

	revision, err := store.Put(ctx, &core.Installation{Key: key, State: core.Installed})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = store.Put(ctx, &core.Installation{Key: key, Revision: revision, State: core.Uninstalled})
	fmt.Println("first:", err)
	_, err = store.Put(ctx, &core.Installation{Key: key, Revision: revision, Disabled: true})
	fmt.Println("second:", err, errors.Is(err, core.ErrConflict))
	// Output:
	// first: <nil>
	// second: hostbond: installation was changed meanwhile true
}
