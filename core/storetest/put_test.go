package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/hostbond/hostbond/core"
)

// overwrite puts the installation whatever the stored revision.
func overwrite(ctx context.Context, right core.Store, installation *core.Installation) (int64, error) {
	i := installation.Clone()
	for {
		i.Revision = 0
		if stored, err := right.Get(ctx, i.Key); err == nil {
			i.Revision = stored.Revision
		}
		if revision, err := right.Put(ctx, i); !errors.Is(err, core.ErrConflict) {
			return revision, err
		}
	}
}

// pause lets every other goroutine of the bubble come to its own pause, or to its end.
func pause() { <-time.After(time.Nanosecond) }

// lastWins compares no revisions.
type lastWins struct{ core.Store }

func (s lastWins) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	return overwrite(ctx, s.Store, installation)
}

// createsBlindly compares revisions only if there is a row.
type createsBlindly struct{ core.Store }

func (s createsBlindly) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	if _, err := s.Get(ctx, installation.Key); errors.Is(err, core.ErrNotFound) {
		return overwrite(ctx, s.Store, installation)
	}
	return s.Store.Put(ctx, installation)
}

// acceptsNewer refuses older revisions only.
type acceptsNewer struct{ core.Store }

func (s acceptsNewer) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	if stored, err := s.Get(ctx, installation.Key); err == nil && installation.Revision > stored.Revision {
		return overwrite(ctx, s.Store, installation)
	}
	return s.Store.Put(ctx, installation)
}

// readsThenWrites compares revisions, but not in the same step as it writes.
type readsThenWrites struct{ core.Store }

func (s readsThenWrites) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	var revision int64
	if stored, err := s.Get(ctx, installation.Key); err == nil {
		revision = stored.Revision
	}
	if installation.Revision != revision {
		return 0, core.ErrConflict
	}
	pause()
	return overwrite(ctx, s.Store, installation)
}

// writesOnConflict says that there is a conflict, and writes all the same.
type writesOnConflict struct{ core.Store }

func (s writesOnConflict) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if errors.Is(err, core.ErrConflict) {
		_, _ = overwrite(ctx, s.Store, installation)
	}
	return revision, err
}

// refusesOtherwise knows no ErrConflict.
type refusesOtherwise struct{ core.Store }

func (s refusesOtherwise) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if errors.Is(err, core.ErrConflict) {
		err = errors.New("0 rows affected")
	}
	return revision, err
}

// miscounts returns another revision than it stores.
type miscounts struct{ core.Store }

func (s miscounts) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	return revision + 1, err
}

// sparesWrites leaves the row, and its revision, when there is nothing to change.
type sparesWrites struct{ core.Store }

func (s sparesWrites) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	if stored, err := s.Get(ctx, installation.Key); err == nil && diff(stored, installation) == "" {
		return stored.Revision, nil
	}
	return s.Store.Put(ctx, installation)
}

// writesNeighbours writes the description to all rows of the app.
type writesNeighbours struct{ core.Store }

func (s writesNeighbours) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	rows, err := s.List(ctx, installation.Key.AppKey, "", 1000)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if row.Key != installation.Key {
			row.Site.Description = installation.Site.Description
			_, _ = s.Store.Put(ctx, row)
		}
	}
	return s.Store.Put(ctx, installation)
}

var putFaults = []fault{
	{
		name: "Put does not compare",
		wrap: func(right core.Store) core.Store { return lastWins{right} },
		breaks: []string{
			"Put/existing row", "Put/other revision", "Put/missing row", "Put/one winner", "Put/one creator",
			"Delete/revision not re-used",
		},
	},
	{
		name:   "Put at any revision creates a row",
		wrap:   func(right core.Store) core.Store { return createsBlindly{right} },
		breaks: []string{"Put/missing row", "Delete/revision not re-used"},
	},
	{
		name:   "Put at a newer revision wins",
		wrap:   func(right core.Store) core.Store { return acceptsNewer{right} },
		breaks: []string{"Put/other revision"},
	},
	{
		name:   "Put reads, then writes",
		wrap:   func(right core.Store) core.Store { return readsThenWrites{right} },
		breaks: []string{"Put/one winner", "Put/one creator", "Put/no lost update", "Delete/one winner"},
	},
	{
		name:   "Put writes on conflict",
		wrap:   func(right core.Store) core.Store { return writesOnConflict{right} },
		breaks: []string{"Put/existing row", "Put/other revision", "Put/missing row", "Put/one winner"},
	},
	{
		name:   "a conflict is an error of the database",
		wrap:   func(right core.Store) core.Store { return refusesOtherwise{right} },
		breaks: []string{"Put/existing row", "Put/other revision", "Put/missing row", "Put/one winner"},
	},
	{
		name:   "Put returns another revision than it stores",
		wrap:   func(right core.Store) core.Store { return miscounts{right} },
		breaks: []string{"Put/create"},
	},
	{
		name:   "Put of the same keeps the revision",
		wrap:   func(right core.Store) core.Store { return sparesWrites{right} },
		breaks: []string{"Put/revision grows"},
	},
	{
		name:   "Put writes to other rows",
		wrap:   func(right core.Store) core.Store { return writesNeighbours{right} },
		breaks: []string{"Put/own row only"},
	},
}
