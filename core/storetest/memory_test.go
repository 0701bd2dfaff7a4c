package storetest

import (
	"context"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// keepsArgument stores the very installation that it was handed.
type keepsArgument struct {
	core.Store
	kept map[core.Key]*core.Installation
}

func (s keepsArgument) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		s.kept[installation.Key] = installation
	}
	return revision, err
}

func (s keepsArgument) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	stored, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	i := s.kept[key].Clone()
	i.Key, i.Revision, i.Activity = key, stored.Revision, stored.Activity
	return i, nil
}

// shallow copies the struct but not the slices in it, so that those who get a row share them.
type shallow struct {
	core.Store
	mu   sync.Mutex
	rows map[int64]*core.Installation // by revision
}

func newShallow(right core.Store) core.Store {
	return &shallow{Store: right, rows: map[int64]*core.Installation{}}
}

func (s *shallow) share(i *core.Installation) *core.Installation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows[i.Revision] == nil {
		s.rows[i.Revision] = i
	}
	row := *s.rows[i.Revision]
	row.Activity = i.Activity
	return &row
}

func (s *shallow) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.share(i), nil
}

func (s *shallow) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	page, err := s.Store.List(ctx, appKey, after, limit)
	for n := range page {
		page[n] = s.share(page[n])
	}
	return page, err
}

// sharesAnswers hands out the same keys, counts and revocations again and again.
type sharesAnswers struct {
	core.Store
	keys        map[string][]core.Key
	counts      map[string]map[core.Fingerprint]int
	revocations map[string][]core.Revocation
}

func (s sharesAnswers) Find(ctx context.Context, appKey string, by core.By, value string) (keys []core.Key, err error) {
	question := appKey + string(by) + value
	if s.keys[question] == nil {
		s.keys[question], err = s.Store.Find(ctx, appKey, by, value)
	}
	return s.keys[question], err
}

func (s sharesAnswers) Bindings(ctx context.Context, appKey string) (counts map[core.Fingerprint]int, err error) {
	if s.counts[appKey] == nil {
		s.counts[appKey], err = s.Store.Bindings(ctx, appKey)
	}
	return s.counts[appKey], err
}

func (s sharesAnswers) Revocations(ctx context.Context, appKey string) (revocations []core.Revocation, err error) {
	if s.revocations[appKey] == nil {
		s.revocations[appKey], err = s.Store.Revocations(ctx, appKey)
	}
	return s.revocations[appKey], err
}

var memoryFaults = []fault{
	{
		name:   "Put keeps its argument",
		wrap:   func(right core.Store) core.Store { return keepsArgument{right, map[core.Key]*core.Installation{}} },
		breaks: []string{"Memory/of Put"},
	},
	{
		name:   "those who get a row share its slices",
		wrap:   newShallow,
		breaks: []string{"Memory/of Get", "Memory/of List"},
	},
	{
		name: "those who ask the same share the answer",
		wrap: func(right core.Store) core.Store {
			return sharesAnswers{
				right, map[string][]core.Key{}, map[string]map[core.Fingerprint]int{}, map[string][]core.Revocation{},
			}
		},
		breaks: []string{"Memory/of Find", "Memory/of Bindings", "Memory/of Revocations"},
	},
}
