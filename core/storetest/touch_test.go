package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/hostbond/hostbond/core"
)

// records keeps the activity itself and decides by merge what a Touch makes of it.
type records struct {
	core.Store
	merge func(old, touched core.Activity) core.Activity

	mu       sync.Mutex
	activity map[core.Key]core.Activity
}

func recording(merge func(old, touched core.Activity) core.Activity) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return newRecords(right, merge) }
}

func newRecords(right core.Store, merge func(old, touched core.Activity) core.Activity) *records {
	return &records{Store: right, merge: merge, activity: map[core.Key]core.Activity{}}
}

// rightly is how it should be.
func rightly(old, touched core.Activity) core.Activity {
	if touched.SeenAt.After(old.SeenAt) {
		old.SeenAt = touched.SeenAt
	}
	if touched.RefusedAt.After(old.RefusedAt) {
		old.RefusedAt, old.RefusedReason = touched.RefusedAt, touched.RefusedReason
	}
	if touched.FirstUsedAt.After(old.FirstUsedAt) {
		old.FirstUsedAt, old.FirstUsed = touched.FirstUsedAt, touched.FirstUsed
	}
	if touched.DesyncSuspectedAt.After(old.DesyncSuspectedAt) {
		old.DesyncSuspectedAt = touched.DesyncSuspectedAt
	}
	return old
}

func (s *records) load(key core.Key) core.Activity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.activity[key]
}

func (s *records) save(key core.Key, activity core.Activity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	activity.SeenAt, activity.RefusedAt = activity.SeenAt.UTC(), activity.RefusedAt.UTC()
	activity.FirstUsedAt, activity.DesyncSuspectedAt = activity.FirstUsedAt.UTC(), activity.DesyncSuspectedAt.UTC()
	s.activity[key] = activity
}

func (s *records) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err == nil {
		i.Activity = s.load(key)
	}
	return i, err
}

func (s *records) Touch(ctx context.Context, key core.Key, touched core.Activity) error {
	if _, err := s.Store.Get(ctx, key); err != nil {
		return err
	}
	s.save(key, s.merge(s.load(key), touched))
	return nil
}

// touchesByPut changes the whole row to note an activity.
type touchesByPut struct{ core.Store }

func (s touchesByPut) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	i, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if _, err := s.Put(ctx, i); err != nil {
		return err
	}
	return s.Store.Touch(ctx, key, activity)
}

// updatesTime has a database that sets UpdatedAt on each change.
type updatesTime struct{ core.Store }

func (s updatesTime) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err == nil && i.Activity.SeenAt.After(i.UpdatedAt) {
		i.UpdatedAt = i.Activity.SeenAt
	}
	return i, err
}

// putsFact writes a part of the activity as one field of many.
type putsFact struct {
	*records
	set func(to *core.Activity, from core.Activity)
}

func (s putsFact) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		activity := s.load(installation.Key)
		s.set(&activity, installation.Activity)
		s.save(installation.Key, activity)
	}
	return revision, err
}

// putsReadActivity writes back what it read in Put, so that it loses what was touched meanwhile.
type putsReadActivity struct{ *records }

func (s putsReadActivity) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	activity := s.load(installation.Key)
	pause()
	pause() // while others touch
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		s.save(installation.Key, activity)
	}
	return revision, err
}

func (s putsReadActivity) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	pause() // until others are about to put
	return s.records.Touch(ctx, key, activity)
}

// readsThenTouches finds the later time, but not in the same step as it writes.
type readsThenTouches struct{ *records }

func (s readsThenTouches) Touch(_ context.Context, key core.Key, touched core.Activity) error {
	old := s.load(key)
	pause()
	s.save(key, s.merge(old, touched))
	return nil
}

// touchesNothing does not notice that there is no row.
type touchesNothing struct{ core.Store }

func (s touchesNothing) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	if err := s.Store.Touch(ctx, key, activity); !errors.Is(err, core.ErrNotFound) {
		return err
	}
	return nil
}

// createsByTouch makes a row where there is none.
type createsByTouch struct{ core.Store }

func (s createsByTouch) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	err := s.Store.Touch(ctx, key, activity)
	if errors.Is(err, core.ErrNotFound) {
		_, _ = s.Put(ctx, &core.Installation{Key: key})
	}
	return err
}

// needsChange takes a Touch that changed nothing for one that found no row, as MySQL counts affected rows.
type needsChange struct{ core.Store }

func (s needsChange) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	before, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := s.Store.Touch(ctx, key, activity); err != nil {
		return err
	}
	if after, err := s.Get(ctx, key); err != nil || after.Activity == before.Activity {
		return core.ErrNotFound
	}
	return nil
}

// touchesNeighbours touches all rows of the app.
type touchesNeighbours struct{ core.Store }

func (s touchesNeighbours) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	rows, err := s.List(ctx, key.AppKey, "", 1000)
	for _, row := range rows {
		_ = s.Store.Touch(ctx, row.Key, activity)
	}
	return cmp.Or(err, s.Store.Touch(ctx, key, activity))
}

// factFaults are the faults that a store can have with one fact alone.
func factFaults() (all []fault) {
	for n, name := range []string{"the time seen", "the refusal", "the first use", "the suspicion"} {
		set := facts[n]
		moves := func(old, touched core.Activity) core.Activity {
			next := rightly(old, touched)
			var alone core.Activity
			if set(&alone, touched); alone != (core.Activity{}) {
				set(&next, alone)
			}
			return next
		}
		all = append(all, fault{
			name:   "Touch moves " + name + " back",
			wrap:   recording(moves),
			breaks: []string{"Touch/never back", "Touch/at once with Put"},
		}, fault{
			name:   "Put writes " + name,
			wrap:   func(right core.Store) core.Store { return putsFact{newRecords(right, rightly), set} },
			breaks: []string{"Touch/kept by Put"},
		}, fault{
			name: name + " outlives its row",
			wrap: func(right core.Store) core.Store {
				return keepsFact{right, set, map[core.Key]core.Activity{}}
			},
			breaks: []string{"Delete/nothing comes back"},
		})
	}
	return all
}

var touchFaults = slices.Concat(factFaults(), []fault{
	{
		name: "Touch notes no reason",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			touched.RefusedReason = ""
			return rightly(old, touched)
		}),
		breaks: []string{"Touch/records"},
	},
	{
		name: "Touch notes no secret",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			touched.FirstUsed = ""
			return rightly(old, touched)
		}),
		breaks: []string{"Touch/records"},
	},
	{
		name:   "Touch changes the revision",
		wrap:   func(right core.Store) core.Store { return touchesByPut{right} },
		breaks: []string{"Touch/nothing else", "Touch/records"},
	},
	{
		name:   "Touch changes UpdatedAt",
		wrap:   func(right core.Store) core.Store { return updatesTime{right} },
		breaks: []string{"Touch/nothing else"},
	},
	{
		name:   "Touch writes zero fields",
		wrap:   recording(func(_, touched core.Activity) core.Activity { return touched }),
		breaks: []string{"Touch/zero fields", "Touch/never back"},
	},
	{
		name: "Touch replaces the reason of a newer refusal",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			next := rightly(old, touched)
			next.RefusedReason = cmp.Or(touched.RefusedReason, old.RefusedReason)
			return next
		}),
		breaks: []string{"Touch/one refusal"},
	},
	{
		name: "Touch keeps the reason of an older refusal",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			next := rightly(old, touched)
			next.RefusedReason = cmp.Or(old.RefusedReason, touched.RefusedReason)
			return next
		}),
		breaks: []string{"Touch/one refusal"},
	},
	{
		name: "Touch replaces the secret of a newer use",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			next := rightly(old, touched)
			next.FirstUsed = cmp.Or(touched.FirstUsed, old.FirstUsed)
			return next
		}),
		breaks: []string{"Touch/one use"},
	},
	{
		name: "Touch keeps the secret of an older use",
		wrap: recording(func(old, touched core.Activity) core.Activity {
			next := rightly(old, touched)
			next.FirstUsed = cmp.Or(old.FirstUsed, touched.FirstUsed)
			return next
		}),
		breaks: []string{"Touch/one use"},
	},
	{
		name:   "Touch of nothing is no error",
		wrap:   func(right core.Store) core.Store { return touchesNothing{right} },
		breaks: []string{"Touch/missing row", "Delete/nothing comes back"},
	},
	{
		name:   "Touch creates a row",
		wrap:   func(right core.Store) core.Store { return createsByTouch{right} },
		breaks: []string{"Touch/missing row"},
	},
	{
		name:   "Touch must change something",
		wrap:   func(right core.Store) core.Store { return needsChange{right} },
		breaks: []string{"Touch/zero fields", "Touch/never back"},
	},
	{
		name:   "Touch writes to other rows",
		wrap:   func(right core.Store) core.Store { return touchesNeighbours{right} },
		breaks: []string{"Touch/own row only"},
	},
	{
		name:   "Touch reads, then writes",
		wrap:   func(right core.Store) core.Store { return readsThenTouches{newRecords(right, rightly)} },
		breaks: []string{"Touch/at once with Put"},
	},
	{
		name:   "Put reads the activity, then writes it",
		wrap:   func(right core.Store) core.Store { return putsReadActivity{newRecords(right, rightly)} },
		breaks: []string{"Touch/at once with Put"},
	},
})
