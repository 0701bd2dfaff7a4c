package storetest

import (
	"context"

	"github.com/hostbond/hostbond/core"
)

// deaf goes on though its caller has given up.
type deaf struct{ core.Store }

func (s deaf) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	return s.Store.Get(context.WithoutCancel(ctx), key)
}

func (s deaf) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	return s.Store.Touch(context.WithoutCancel(ctx), key, activity)
}

// deafToCounts goes on with a count only.
type deafToCounts struct{ core.Store }

func (s deafToCounts) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	return s.Store.Bindings(context.WithoutCancel(ctx), appKey)
}

// late does the work and then says that it did not.
type late struct{ core.Store }

func (s late) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	stored, err := s.Store.Claim(context.WithoutCancel(ctx), claim)
	if err != nil {
		return core.Claim{}, err
	}
	return stored, ctx.Err()
}

// guesses takes a cancelled read for a missing row.
type guesses struct{ core.Store }

func (s guesses) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, core.ErrNotFound
	}
	return i, nil
}

var contextFaults = []fault{
	{
		name:   "a cancelled context is ignored",
		wrap:   func(right core.Store) core.Store { return deaf{right} },
		breaks: []string{"Context/cancelled read", "Context/cancelled write"},
	},
	{
		name:   "a cancelled count is made",
		wrap:   func(right core.Store) core.Store { return deafToCounts{right} },
		breaks: []string{"Context/cancelled read"},
	},
	{
		name:   "a cancelled claim is stored",
		wrap:   func(right core.Store) core.Store { return late{right} },
		breaks: []string{"Context/cancelled write"},
	},
	{
		name:   "a cancelled read finds nothing",
		wrap:   func(right core.Store) core.Store { return guesses{right} },
		breaks: []string{"Context/cancelled read"},
	},
}
