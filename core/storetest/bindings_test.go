package storetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// counting decides by functions that can each be wrong which secrets of which installations it counts.
type counting struct {
	core.Store
	row    func(*core.Installation) bool
	secret func(core.StoredSecret) bool
	limit  int // of the secrets of one installation
}

// countingBy returns a store that counts rightly but for what spoil changes.
func countingBy(spoil func(*counting)) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		s := counting{
			Store:  right,
			row:    func(i *core.Installation) bool { return i.State == core.Installed },
			secret: func(s core.StoredSecret) bool { return s.Bound && s.State == core.Usable },
			limit:  1000,
		}
		spoil(&s)
		return s
	}
}

func (s counting) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	rows, err := s.List(ctx, appKey, "", 1000)
	counts := make(map[core.Fingerprint]int)
	for _, row := range rows {
		left := s.limit
		for _, secret := range row.Secrets {
			if s.row(row) && s.secret(secret) && left > 0 {
				counts[secret.Fingerprint]++
				left--
			}
		}
	}
	return counts, err
}

// neededBy returns the secrets that a row, which may be missing, counts for.
func neededBy(row *core.Installation) (needed []core.Fingerprint) {
	if row == nil || row.State != core.Installed {
		return nil
	}
	for _, secret := range row.Secrets {
		if secret.Bound && secret.State == core.Usable {
			needed = append(needed, secret.Fingerprint)
		}
	}
	return needed
}

// alteredCounts alters what Bindings answers.
type alteredCounts struct {
	core.Store
	alter func(map[core.Fingerprint]int)
}

func (s alteredCounts) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	counts, err := s.Store.Bindings(ctx, appKey)
	s.alter(counts)
	return counts, err
}

// countsAlike adds up the counts of all apps whose keys it takes for the same.
type countsAlike struct {
	core.Store
	alike func(a, b string) bool
	apps  map[string]bool
}

func (s countsAlike) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	s.apps[installation.Key.AppKey] = true
	return s.Store.Put(ctx, installation)
}

func (s countsAlike) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	sum := make(map[core.Fingerprint]int)
	for app := range s.apps {
		if !s.alike(app, appKey) {
			continue
		}
		counts, err := s.Store.Bindings(ctx, app)
		if err != nil {
			return nil, err
		}
		for f, n := range counts {
			sum[f] += n
		}
	}
	return sum, nil
}

func countsOfAlike(alike func(a, b string) bool) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return countsAlike{right, alike, map[string]bool{}} }
}

// drifts adds to the right counts what it takes for changes of them.
type drifts struct {
	core.Store
	onConflict, onDelete int // what a conflict of Put, or a Delete, adds for each binding
	keepsZeros           bool

	mu    sync.Mutex
	drift map[string]map[core.Fingerprint]int // by app key
}

func drifting(spoil func(*drifts)) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		s := &drifts{Store: right, drift: map[string]map[core.Fingerprint]int{}}
		spoil(s)
		return s
	}
}

func (s *drifts) add(row *core.Installation, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app := row.Key.AppKey
	if s.drift[app] == nil {
		s.drift[app] = map[core.Fingerprint]int{}
	}
	for _, f := range neededBy(row) {
		s.drift[app][f] += n
	}
}

func (s *drifts) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		s.add(installation, 0)
	} else {
		s.add(installation, s.onConflict)
	}
	return revision, err
}

func (s *drifts) Delete(ctx context.Context, key core.Key, revision int64) error {
	row, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := s.Store.Delete(ctx, key, revision); err != nil {
		return err
	}
	s.add(row, s.onDelete)
	return nil
}

func (s *drifts) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	counts, err := s.Store.Bindings(ctx, appKey)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, n := range s.drift[appKey] {
		counts[f] += n
	}
	if !s.keepsZeros {
		maps.DeleteFunc(counts, func(_ core.Fingerprint, n int) bool { return n == 0 })
	}
	return counts, nil
}

// everBound never takes an installation out of its index.
type everBound struct {
	core.Store
	index map[string]map[core.Fingerprint][]core.Key // by app key
}

func (s everBound) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if err != nil {
		return 0, err
	}
	app := installation.Key.AppKey
	if s.index[app] == nil {
		s.index[app] = map[core.Fingerprint][]core.Key{}
	}
	for _, f := range neededBy(installation) {
		if keys := s.index[app][f]; !slices.Contains(keys, installation.Key) {
			s.index[app][f] = append(keys, installation.Key)
		}
	}
	return revision, nil
}

func (s everBound) Bindings(_ context.Context, appKey string) (map[core.Fingerprint]int, error) {
	counts := make(map[core.Fingerprint]int)
	for f, keys := range s.index[appKey] {
		counts[f] = len(keys)
	}
	return counts, nil
}

// readsThenCounts keeps the counts beside the rows, but does not read one in the same step as it writes it.
type readsThenCounts struct {
	core.Store
	mu     sync.Mutex
	counts map[string]map[core.Fingerprint]int // by app key
}

func (s *readsThenCounts) load(appKey string) map[core.Fingerprint]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[core.Fingerprint]int)
	maps.Copy(counts, s.counts[appKey])
	return counts
}

// change counts what has become of a row; nil stands for none.
func (s *readsThenCounts) change(appKey string, before, after *core.Installation) {
	counts := s.load(appKey)
	pause()
	for _, f := range neededBy(before) {
		counts[f]--
	}
	for _, f := range neededBy(after) {
		counts[f]++
	}
	maps.DeleteFunc(counts, func(_ core.Fingerprint, n int) bool { return n == 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[appKey] = counts
}

func (s *readsThenCounts) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	before, _ := s.Get(ctx, installation.Key)
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		s.change(installation.Key.AppKey, before, installation)
	}
	return revision, err
}

func (s *readsThenCounts) Delete(ctx context.Context, key core.Key, revision int64) error {
	before, _ := s.Get(ctx, key)
	err := s.Store.Delete(ctx, key, revision)
	if err == nil {
		s.change(key.AppKey, before, nil)
	}
	return err
}

func (s *readsThenCounts) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	return s.load(appKey), ctx.Err()
}

// countsNothing takes it for a row that is missing.
type countsNothing struct{ core.Store }

func (s countsNothing) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	counts, err := s.Store.Bindings(ctx, appKey)
	if err == nil && len(counts) == 0 {
		err = core.ErrNotFound
	}
	return counts, err
}

var bindingFaults = []fault{
	{
		name: "Bindings says yes or no",
		wrap: func(right core.Store) core.Store {
			return alteredCounts{right, func(counts map[core.Fingerprint]int) {
				for f := range counts {
					counts[f] = 1
				}
			}}
		},
		breaks: []string{"Bindings/counts", "Bindings/several", "Bindings/at once"},
	},
	{
		name:   "an installation counts for one binding only",
		wrap:   countingBy(func(s *counting) { s.limit = 1 }),
		breaks: []string{"Bindings/several", "Bindings/changes"},
	},
	{
		name:   "an installation counts for three bindings at most",
		wrap:   countingBy(func(s *counting) { s.limit = 3 }),
		breaks: []string{"Bindings/several"},
	},
	{
		name: "Bindings counts what is retired",
		wrap: countingBy(func(s *counting) {
			s.secret = func(s core.StoredSecret) bool { return s.Bound && s.State != core.Revoked }
		}),
		breaks: []string{"Bindings/usable only", "Bindings/changes"},
	},
	{
		name: "Bindings counts what is revoked",
		wrap: countingBy(func(s *counting) {
			s.secret = func(s core.StoredSecret) bool { return s.Bound && s.State != core.Retired }
		}),
		breaks: []string{"Bindings/usable only"},
	},
	{
		name: "Bindings counts every usable secret",
		wrap: countingBy(func(s *counting) {
			s.secret = func(s core.StoredSecret) bool { return s.State == core.Usable }
		}),
		breaks: []string{"Bindings/own secrets", "Bindings/none"},
	},
	{
		name: "Bindings counts what has no value",
		wrap: countingBy(func(s *counting) {
			s.secret = func(s core.StoredSecret) bool { return s.State == core.Usable && s.Value.IsZero() }
		}),
		breaks: []string{"Bindings/own secrets"},
	},
	{
		name: "Bindings counts installations whatever their state",
		wrap: countingBy(func(s *counting) {
			s.row = func(*core.Installation) bool { return true }
		}),
		breaks: []string{"Bindings/installed only", "Bindings/changes"},
	},
	{
		name: "a binding counts for ever",
		wrap: func(right core.Store) core.Store {
			return everBound{right, map[string]map[core.Fingerprint][]core.Key{}}
		},
		breaks: []string{"Bindings/changes", "Delete/removes"},
	},
	{
		name:   "a Put in conflict counts",
		wrap:   drifting(func(s *drifts) { s.onConflict = 1 }),
		breaks: []string{"Bindings/changes"},
	},
	{
		name:   "a deleted row counts",
		wrap:   drifting(func(s *drifts) { s.onDelete = 1 }),
		breaks: []string{"Bindings/changes", "Bindings/at once", "Delete/removes"},
	},
	{
		name:   "a count of zero stays",
		wrap:   drifting(func(s *drifts) { s.keepsZeros = true }),
		breaks: []string{"Bindings/changes", "Delete/removes"},
	},
	{
		name:   "Bindings counts apps whose keys begin alike",
		wrap:   countsOfAlike(strings.HasPrefix),
		breaks: []string{"Bindings/own rows only"},
	},
	{
		name:   "Bindings knows no case of app keys",
		wrap:   countsOfAlike(strings.EqualFold),
		breaks: []string{"Keys/app keys"},
	},
	{
		name:   "Bindings of nothing is an error",
		wrap:   func(right core.Store) core.Store { return countsNothing{right} },
		breaks: []string{"Bindings/none"},
	},
	{
		name: "a count is read, then written",
		wrap: func(right core.Store) core.Store {
			return &readsThenCounts{Store: right, counts: map[string]map[core.Fingerprint]int{}}
		},
		breaks: []string{"Bindings/at once"},
	},
}
