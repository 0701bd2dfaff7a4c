package storetest

import (
	"context"
	"strings"

	"github.com/hostbond/hostbond/core"
)

// folded takes keys for equal that fold to the same.
type folded struct {
	core.Store
	app, client func(string) string
}

func same(s string) string { return s }

func (s folded) key(key core.Key) core.Key {
	return core.Key{AppKey: s.app(key.AppKey), ClientKey: s.client(key.ClientKey)}
}

func (s folded) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	return s.Store.Get(ctx, s.key(key))
}

func (s folded) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	i := installation.Clone()
	i.Key = s.key(i.Key)
	return s.Store.Put(ctx, i)
}

func (s folded) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	claim.AppKey = s.app(claim.AppKey)
	return s.Store.Claim(ctx, claim)
}

func (s folded) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	return s.Store.Revocations(ctx, s.app(appKey))
}

// touchesFolded is right but for Touch.
type touchesFolded struct{ folded }

func (s touchesFolded) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	return s.Store.Get(ctx, key)
}

func (s touchesFolded) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	return s.Store.Put(ctx, installation)
}

func (s touchesFolded) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	return s.Store.Touch(ctx, s.key(key), activity)
}

// claimsFolded is right but for Claim.
type claimsFolded struct {
	core.Store
	app func(string) string
}

func (s claimsFolded) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	stored := claim
	stored.AppKey = s.app(stored.AppKey)
	stored, err := s.Store.Claim(ctx, stored)
	stored.AppKey = claim.AppKey
	return stored, err
}

func foldClients(fold func(string) string) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return folded{right, same, fold} }
}

func foldApps(fold func(string) string) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return folded{right, fold, same} }
}

func trimRight(s string) string { return strings.TrimRight(s, " ") }

var keyFaults = []fault{
	{
		name:   "client keys have no case",
		wrap:   foldClients(strings.ToLower),
		breaks: []string{"Keys/client keys"},
	},
	{
		name:   "client keys end before trailing spaces",
		wrap:   foldClients(trimRight),
		breaks: []string{"Keys/client keys"},
	},
	{
		name: "Touch knows no case",
		wrap: func(right core.Store) core.Store {
			return touchesFolded{folded{right, same, strings.ToLower}}
		},
		breaks: []string{"Keys/client keys"},
	},
	{
		name:   "app keys have no case",
		wrap:   foldApps(strings.ToLower),
		breaks: []string{"Keys/app keys"},
	},
	{
		name:   "claims end app keys before trailing spaces",
		wrap:   func(right core.Store) core.Store { return claimsFolded{right, trimRight} },
		breaks: []string{"Keys/app keys"},
	},
	{
		name:   "client keys are cut at 191 bytes",
		wrap:   foldClients(cutTo(191)),
		breaks: []string{"Keys/255 bytes"},
	},
	{
		name:   "client keys are cut at 254 bytes",
		wrap:   foldClients(cutTo(254)),
		breaks: []string{"Keys/255 bytes"},
	},
}
