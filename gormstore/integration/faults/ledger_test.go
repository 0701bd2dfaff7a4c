package faults

import (
	"context"
	"sync"
	"testing"

	"github.com/hostbond/hostbond/core"
)

// ledger is the one store below all replicas of a case. It remembers what was written, and holds every write to what is
// true of all of them.
type ledger struct {
	core.Store
	t    *testing.T
	sent func(core.Fingerprint) bool // whether a site has sent this secret

	mu      sync.Mutex
	last    map[core.Key]*core.Installation
	written map[core.Key][]*core.Installation // since open
}

// open begins to remember anew.
func (l *ledger) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = map[core.Key][]*core.Installation{}
}

// commits returns what was written under the key since open, in order.
func (l *ledger) commits(key core.Key) []*core.Installation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written[key]
}

func (l *ledger) Put(ctx context.Context, row *core.Installation) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	revision, err := l.Store.Put(ctx, row)
	if err != nil {
		return revision, err
	}
	row = row.Clone()
	row.Revision = revision
	l.hold(row)
	if l.last == nil {
		l.last = map[core.Key]*core.Installation{}
	}
	l.last[row.Key] = row
	l.written[row.Key] = append(l.written[row.Key], row)
	return revision, nil
}

// hold checks a row that was just committed; l.mu is held.
func (l *ledger) hold(row *core.Installation) {
	l.t.Helper()
	if before := l.last[row.Key]; before != nil {
		if row.Revision <= before.Revision {
			l.t.Errorf("revision %d was written after %d: replicas would take the older row for the newer", row.Revision, before.Revision)
		}
		if row.Watermark.Before(before.Watermark) || row.ActivationWatermark.Before(before.ActivationWatermark) {
			l.t.Errorf("a watermark went back, from %v and %v to %v and %v: an old callback could be replayed",
				before.Watermark, before.ActivationWatermark, row.Watermark, row.ActivationWatermark)
		}
	}
	for _, secret := range row.Secrets {
		if secret.State != core.Usable {
			continue
		}
		if !l.sent(secret.Fingerprint) || secret.Value.Fingerprint() != secret.Fingerprint {
			l.t.Errorf("secret %s was written as usable, but no site has sent it", secret.Fingerprint.Short())
		}
	}
}

// reading is the store as it was at the last look. Nothing is written to it, so that looking changes nothing.
type reading struct {
	core.Store
	rows map[core.Key]*core.Installation
}

func (s reading) Get(_ context.Context, key core.Key) (*core.Installation, error) {
	row := s.rows[key]
	if row == nil {
		return nil, core.ErrNotFound
	}
	return row.Clone(), nil
}

func (s reading) Put(context.Context, *core.Installation) (int64, error) { return 0, core.ErrConflict }

func (s reading) Touch(context.Context, core.Key, core.Activity) error { return nil }
