package faults

import (
	"context"

	"github.com/hostbond/hostbond/core"
)

// conducted is a store whose every call goes by way of conduct.
type conducted struct {
	core.Store
	conduct func(ctx context.Context, method string, key core.Key, call func(context.Context) error) error
}

// by makes a call of the store. Who gets an error gets nothing else.
func by[T any](
	ctx context.Context, s conducted, method string, key core.Key, call func(context.Context) (T, error),
) (T, error) {
	var result, nothing T
	err := s.conduct(ctx, method, key, func(ctx context.Context) (err error) {
		result, err = call(ctx)
		return err
	})
	if err != nil {
		return nothing, err
	}
	return result, nil
}

func (s conducted) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	return by(ctx, s, "Get", key, func(ctx context.Context) (*core.Installation, error) { return s.Store.Get(ctx, key) })
}

func (s conducted) Put(ctx context.Context, row *core.Installation) (int64, error) {
	return by(ctx, s, "Put", row.Key, func(ctx context.Context) (int64, error) { return s.Store.Put(ctx, row) })
}

func (s conducted) Delete(ctx context.Context, key core.Key, revision int64) error {
	return s.conduct(ctx, "Delete", key, func(ctx context.Context) error { return s.Store.Delete(ctx, key, revision) })
}

func (s conducted) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	return by(ctx, s, "List", core.Key{}, func(ctx context.Context) ([]*core.Installation, error) {
		return s.Store.List(ctx, appKey, after, limit)
	})
}

func (s conducted) Find(ctx context.Context, appKey string, property core.By, value string) ([]core.Key, error) {
	return by(ctx, s, "Find", core.Key{}, func(ctx context.Context) ([]core.Key, error) {
		return s.Store.Find(ctx, appKey, property, value)
	})
}

func (s conducted) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	return s.conduct(ctx, "Touch", key, func(ctx context.Context) error { return s.Store.Touch(ctx, key, activity) })
}

func (s conducted) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	return by(ctx, s, "Claim", core.Key{}, func(ctx context.Context) (core.Claim, error) { return s.Store.Claim(ctx, claim) })
}

func (s conducted) Revoke(ctx context.Context, revocation core.Revocation) error {
	return s.conduct(ctx, "Revoke", core.Key{}, func(ctx context.Context) error { return s.Store.Revoke(ctx, revocation) })
}

func (s conducted) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	return by(ctx, s, "Bindings", core.Key{}, func(ctx context.Context) (map[core.Fingerprint]int, error) {
		return s.Store.Bindings(ctx, appKey)
	})
}

func (s conducted) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	return by(ctx, s, "Revocations", core.Key{}, func(ctx context.Context) ([]core.Revocation, error) {
		return s.Store.Revocations(ctx, appKey)
	})
}
