package core

import (
	"context"
	"errors"
	"fmt"
)

// Batch says how a walk over the installations is done: see [App.AdoptAppSecret], [App.ReleaseAppSecret] and [App.Purge].
// The zero value walks over all of them in one call.
type Batch struct {
	// DryRun counts what would be done, and writes nothing.
	DryRun bool

	// After is the client key that the walk goes on after: the Next of an earlier call. Default: it begins with the first.
	After string

	// Limit is how many installations are looked at before the call returns. Default: all of them. They are listed 200 at a
	// time, or as many as the limit allows, for which the store has a second.
	Limit int

	// Progress is called after each such list, on the caller's goroutine, with what was done until then. It may cancel the
	// context, to stop the walk there.
	Progress func(Moved)
}

// Moved counts what a walk has done.
type Moved struct {
	Seen    int `json:"seen"`    // installations that were looked at
	Moved   int `json:"moved"`   // those that were changed or deleted; in a dry run, those that would be
	Skipped int `json:"skipped"` // those in which something was left that the walk is for: each method says why

	// Next is the client key to go on after: the last one that is done with. It is "" when there are no more; with an error,
	// when none is done with.
	Next string `json:"next"`
}

// visit does to an installation what a walk is for. An error that is [ErrConflict] makes the walk skip it.
type visit func(row *Installation) (moved, left bool, err error)

// walk visits installations, a page at a time. Before each page begin reads what the visits go by.
func (a *App) walk(ctx context.Context, b Batch, begin func() (visit, error)) (Moved, error) {
	m := Moved{Next: b.After}
	for b.Limit <= 0 || m.Seen < b.Limit {
		visit, err := begin()
		if err != nil {
			return m, err
		}
		limit := pageOfRows
		if b.Limit > 0 {
			limit = min(limit, b.Limit-m.Seen)
		}
		rows, err := a.page(ctx, m.Next, limit)
		if err != nil {
			return m, fmt.Errorf("hostbond: the installations could not be listed: %w", err)
		}
		if len(rows) == 0 {
			m.Next = ""
			return m, nil
		}
		for _, row := range rows {
			moved, left, err := visit(row)
			conflict := errors.Is(err, ErrConflict)
			if err != nil && !conflict {
				return m, fmt.Errorf("hostbond: client key %q: %w", row.Key.ClientKey, err)
			}
			m.Seen++
			if moved {
				m.Moved++
			}
			if left || conflict {
				m.Skipped++
			}
			m.Next = row.Key.ClientKey
		}
		if b.Progress != nil {
			b.Progress(m)
		}
	}
	return m, nil
}

func (a *App) logWalk(ctx context.Context, message string, b Batch, m Moved, err error) {
	a.log.InfoContext(ctx, message,
		"dry_run", b.DryRun, "seen", m.Seen, "moved", m.Moved, "skipped", m.Skipped, "failed", err != nil)
}
