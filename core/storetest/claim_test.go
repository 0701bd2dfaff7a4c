package storetest

import (
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// claims keeps claims in a way of its own, by functions that can each be wrong.
type claims struct {
	core.Store
	id     func(core.Claim) any                      // what makes two claims the same
	answer func(first, second core.Claim) core.Claim // to a second claim
	forget func(stored, newest core.Claim) bool      // on each claim
	pause  func()                                    // between reading and writing

	mu     sync.Mutex
	stored map[any]core.Claim
}

// claiming returns a store that claims rightly but for what spoil changes.
func claiming(spoil func(*claims)) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		s := &claims{
			Store:  right,
			id:     func(c core.Claim) any { return core.Claim{AppKey: c.AppKey, ID: c.ID} },
			answer: func(first, _ core.Claim) core.Claim { return first },
			forget: func(stored, newest core.Claim) bool { return stored.ExpiresAt.Before(newest.At) },
			pause:  func() {},
			stored: map[any]core.Claim{},
		}
		spoil(s)
		return s
	}
}

func (s *claims) Claim(_ context.Context, claim core.Claim) (core.Claim, error) {
	first, ok := s.load(claim)
	if ok {
		return s.answer(first, claim), nil
	}
	s.pause()
	return s.save(claim), nil
}

func (s *claims) load(claim core.Claim) (core.Claim, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := maps.Clone(s.stored)
	maps.DeleteFunc(kept, func(_ any, stored core.Claim) bool { return s.forget(stored, claim) })
	s.stored = kept
	first, ok := s.stored[s.id(claim)]
	return first, ok
}

func (s *claims) save(claim core.Claim) core.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	claim.At, claim.ExpiresAt = claim.At.UTC(), claim.ExpiresAt.UTC()
	s.stored[s.id(claim)] = claim
	return claim
}

// claimsOnce has a unique index, and no answer but that it was hurt.
type claimsOnce struct{ core.Store }

func (s claimsOnce) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	stored, err := s.Store.Claim(ctx, claim)
	if err == nil && stored != claim {
		return core.Claim{}, errors.New("duplicate key")
	}
	return stored, err
}

var claimFaults = []fault{
	{
		name: "a claim comes back without its expiry",
		wrap: claiming(func(s *claims) {
			s.answer = func(first, _ core.Claim) core.Claim { first.ExpiresAt = first.At; return first }
		}),
		breaks: []string{"Claim/every field", "Claim/first stays"},
	},
	{
		name: "the last claim wins",
		wrap: claiming(func(s *claims) {
			s.answer = func(_, second core.Claim) core.Claim { return s.save(second) }
		}),
		breaks: []string{"Claim/first stays", "Claim/kept until it expires", "Claim/one winner"},
	},
	{
		name: "a second claim moves the first one's time",
		wrap: claiming(func(s *claims) {
			s.answer = func(first, second core.Claim) core.Claim { first.At = second.At; return s.save(first) }
		}),
		breaks: []string{"Claim/first stays"},
	},
	{
		name: "a second claim is answered with itself",
		wrap: claiming(func(s *claims) {
			s.answer = func(_, second core.Claim) core.Claim { return second }
		}),
		breaks: []string{"Claim/first stays", "Claim/one winner"},
	},
	{
		name:   "a second claim is an error",
		wrap:   func(right core.Store) core.Store { return claimsOnce{right} },
		breaks: []string{"Claim/first stays", "Claim/one winner"},
	},
	{
		name: "claims are kept by body too",
		wrap: claiming(func(s *claims) {
			s.id = func(c core.Claim) any { return core.Claim{AppKey: c.AppKey, ID: c.ID, Body: c.Body} }
		}),
		breaks: []string{"Claim/first stays", "Claim/one winner", "Claim/kept until it expires"},
	},
	{
		name: "claims are kept by half of the ID",
		wrap: claiming(func(s *claims) {
			s.id = func(c core.Claim) any { return c.AppKey + string(c.ID[16:]) }
		}),
		breaks: []string{"Claim/ids apart"},
	},
	{
		name: "claims are kept for all apps",
		wrap: claiming(func(s *claims) {
			s.id = func(c core.Claim) any { return c.ID }
		}),
		breaks: []string{"Claim/ids apart", "Keys/app keys"},
	},
	{
		name:   "Claim reads, then writes",
		wrap:   claiming(func(s *claims) { s.pause = pause }),
		breaks: []string{"Claim/one winner"},
	},
	{
		name: "a claim is forgotten in the second of its expiry",
		wrap: claiming(func(s *claims) {
			s.forget = func(stored, newest core.Claim) bool { return !stored.ExpiresAt.After(newest.At) }
		}),
		breaks: []string{"Claim/kept until it expires"},
	},
	{
		name: "a claim is forgotten when a later one comes",
		wrap: claiming(func(s *claims) {
			s.forget = func(stored, newest core.Claim) bool { return stored.At.Before(newest.At) }
		}),
		breaks: []string{"Claim/kept until it expires", "Claim/first stays"},
	},
	{
		name: "with one expired claim all are forgotten",
		wrap: claiming(func(s *claims) {
			s.forget = func(_, newest core.Claim) bool {
				for _, c := range s.stored {
					if c.ExpiresAt.Before(newest.At) {
						return true
					}
				}
				return false
			}
		}),
		breaks: []string{"Claim/kept until it expires"},
	},
	{
		name: "an expired claim takes the new one's times",
		wrap: claiming(func(s *claims) {
			s.forget = func(core.Claim, core.Claim) bool { return false }
			s.answer = func(first, second core.Claim) core.Claim {
				if first.ExpiresAt.Before(second.At) {
					first.At, first.ExpiresAt = second.At, second.ExpiresAt
				}
				return s.save(first)
			}
		}),
		breaks: []string{"Claim/expired"},
	},
	{
		name: "an expired ID is free for all",
		wrap: claiming(func(s *claims) {
			s.forget = func(core.Claim, core.Claim) bool { return false }
			s.answer = func(first, second core.Claim) core.Claim {
				if first.ExpiresAt.Before(second.At) {
					return second
				}
				return first
			}
		}),
		breaks: []string{"Claim/expired"},
	},
}
