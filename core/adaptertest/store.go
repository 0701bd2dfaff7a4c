package adaptertest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/hostbond/hostbond/core"
)

// store is a store that counts how often it is read, and can be down.
type store struct {
	core.Store
	reads atomic.Int64
	down  atomic.Bool
}

var errDown = errors.New("adaptertest: the store is down")

func (s *store) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	s.reads.Add(1)
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.Get(ctx, key)
}

func (s *store) Put(ctx context.Context, i *core.Installation) (int64, error) {
	if s.down.Load() {
		return 0, errDown
	}
	return s.Store.Put(ctx, i)
}

func (s *store) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	if s.down.Load() {
		return core.Claim{}, errDown
	}
	return s.Store.Claim(ctx, claim)
}
