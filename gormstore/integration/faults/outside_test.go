package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core"
)

// lines is how many calls can be outside at a time.
const lines = 16

// outside returns the store as it can be used from every bubble. A pool of connections has goroutines and channels of
// its own and can serve one bubble only, but to open one for each takes longer than everything else. So the pool stays
// outside, as the database does, and each call goes there over one of the lines. To the bubble that is like a network:
// its clock stands still meanwhile.
func outside(t *testing.T, store core.Store) core.Store {
	t.Helper()
	type line struct {
		calls chan func()
		done  chan struct{}
	}
	free := make(chan line, lines)
	var open sync.WaitGroup
	for range lines {
		l := line{make(chan func()), make(chan struct{})}
		open.Go(func() {
			for call := range l.calls {
				call()
				l.done <- struct{}{}
			}
		})
		free <- l
	}
	t.Cleanup(func() {
		for range lines {
			close((<-free).calls)
		}
		open.Wait()
	})
	return conducted{store, func(ctx context.Context, _ string, _ core.Key, call func(context.Context) error) (err error) {
		// A context of the bubble cannot be waited for outside.
		there, hangUp := context.WithCancel(context.Background())
		defer hangUp()
		if ctx.Err() != nil {
			hangUp()
		}
		defer context.AfterFunc(ctx, hangUp)()
		l := <-free
		l.calls <- func() { err = call(there) }
		<-l.done
		free <- l
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		}
		return err
	}}
}
