package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// revocations keeps revocations in a way of its own, by functions that can each be wrong.
type revocations struct {
	core.Store
	id      func(core.Revocation) any // what makes two the same
	replace bool                      // the first by the second
	pause   func()                    // between reading and writing
	list    func(r core.Revocation, appKey string) bool
	err     error // of a second one

	mu     sync.Mutex
	stored []core.Revocation
}

// revoking returns a store that revokes rightly but for what spoil changes.
func revoking(spoil func(*revocations)) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		s := &revocations{
			Store: right,
			id: func(r core.Revocation) any {
				return core.Revocation{AppKey: r.AppKey, ClientKey: r.ClientKey, Fingerprint: r.Fingerprint}
			},
			pause: func() {},
			list:  func(r core.Revocation, appKey string) bool { return r.AppKey == appKey },
		}
		spoil(s)
		return s
	}
}

func (s *revocations) Revoke(_ context.Context, r core.Revocation) error {
	r.At = r.At.UTC()
	same := func(stored core.Revocation) bool { return s.id(stored) == s.id(r) }

	s.mu.Lock()
	n := slices.IndexFunc(s.stored, same)
	if n >= 0 && s.replace {
		s.stored[n] = r
	}
	s.mu.Unlock()
	if n >= 0 {
		return s.err
	}

	s.pause()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, r)
	return nil
}

func (s *revocations) Revocations(_ context.Context, appKey string) ([]core.Revocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.stored), func(r core.Revocation) bool { return !s.list(r, appKey) }), nil
}

// cutsReasons has a narrow column for them.
type cutsReasons struct{ core.Store }

func (s cutsReasons) Revoke(ctx context.Context, r core.Revocation) error {
	r.Reason = cutTo(255)(r.Reason)
	return s.Store.Revoke(ctx, r)
}

var revokeFaults = []fault{
	{
		name:   "reasons are cut at 255 bytes",
		wrap:   func(right core.Store) core.Store { return cutsReasons{right} },
		breaks: []string{"Revoke/every field"},
	},
	{
		name:   "the last revocation wins",
		wrap:   revoking(func(s *revocations) { s.replace = true }),
		breaks: []string{"Revoke/first stays"},
	},
	{
		name:   "a second revocation is an error",
		wrap:   revoking(func(s *revocations) { s.err = errors.New("duplicate key") }),
		breaks: []string{"Revoke/first stays", "Revoke/one winner"},
	},
	{
		name:   "revocations are kept by secret",
		wrap:   revoking(func(s *revocations) { s.id = func(r core.Revocation) any { return r.Fingerprint } }),
		breaks: []string{"Revoke/each apart", "Revoke/first stays", "Revoke/own app only"},
	},
	{
		name:   "revocations are kept by tenant",
		wrap:   revoking(func(s *revocations) { s.id = func(r core.Revocation) any { return r.ClientKey } }),
		breaks: []string{"Revoke/each apart"},
	},
	{
		name: "all apps share their revocations",
		wrap: revoking(func(s *revocations) {
			s.list = func(core.Revocation, string) bool { return true }
		}),
		breaks: []string{"Revoke/own app only"},
	},
	{
		name:   "Revoke reads, then writes",
		wrap:   revoking(func(s *revocations) { s.pause = pause }),
		breaks: []string{"Revoke/one winner"},
	},
}
