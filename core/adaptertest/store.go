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
	used  chan struct{} // has room for one; full once the first use of a secret is recorded
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

func (s *store) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	err := s.Store.Touch(ctx, key, activity)
	if activity.FirstUsed != "" {
		select {
		case s.used <- struct{}{}:
		default:
		}
	}
	return err
}
