package histories

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

var (
	errBroken = errors.New("the connection to the database broke")
	errDead   = errors.New("this process is dead")
)

// decision is what becomes of a call that has stopped at the store.
type decision int

const (
	goOn decision = iota
	failBefore
	failAfter  // it is done, and nobody is told
	failFirst  // nobody is told, and it is done later
	throwPanic // in the driver
	die
	dieAfter // it is done, and the process is no more
)

var decisions = [...]string{"goes on", "fails", "is done, but fails", "fails, but is on its way", "panics", "dies", "is done, and dies"}

// stop is a call that waits for its decision.
type stop struct {
	what     string
	handling *handling // nil for what the recorder writes
	store    *store
	decision chan decision
}

func (s *stop) String() string {
	if s.handling == nil {
		return s.what + " of the recorder of " + s.store.replica.name
	}
	return s.what + " of " + s.handling.name
}

// store is the store of one process. The calls of callbacks, and what the recorder writes, stop until a step decides.
type store struct {
	world   *world
	replica *replica
	dead    bool
}

var _ core.Store = (*store)(nil)

// take removes the stopped calls that match, in an order that does not depend on how goroutines were scheduled; w.mu is
// held.
func (w *world) take(match func(*stop) bool) (taken []*stop) {
	w.stopped = slices.DeleteFunc(w.stopped, func(s *stop) bool {
		if match(s) {
			taken = append(taken, s)
			return true
		}
		return false
	})
	slices.SortStableFunc(taken, func(a, b *stop) int { return strings.Compare(a.String(), b.String()) })
	return taken
}

// wait stops the call, until a step decides or the caller's time is over.
func (s *store) wait(ctx context.Context, what string) (decision, error) {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	w := s.world
	w.mu.Lock()
	switch {
	case s.dead:
		w.mu.Unlock()
		return die, errDead
	case s.replica.down:
		w.mu.Unlock()
		return failBefore, errBroken
	case w.calm, h == nil && what != "Put", h == nil && w.kind == leaked:
		w.mu.Unlock()
		return goOn, nil
	}
	here := &stop{what, h, s, make(chan decision, 1)}
	w.stopped = append(w.stopped, here)
	w.mu.Unlock()
	select {
	case d := <-here.decision:
		if d == throwPanic {
			panic("in the driver")
		}
		return d, nil
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		w.take(func(s *stop) bool { return s == here })
		return failBefore, ctx.Err()
	}
}

// call makes one call as it is decided.
func call[T any](ctx context.Context, s *store, what string, inner func(context.Context) (T, error)) (T, error) {
	var none T
	d, err := s.wait(ctx, what)
	if err != nil {
		return none, err
	}
	h, _ := ctx.Value(handlingKey{}).(*handling)
	switch d {
	case goOn:
		return inner(ctx)
	case failAfter:
		s.world.mu.Lock()
		h.mishears()
		s.world.mu.Unlock()
		_, _ = inner(ctx)
	case failFirst:
		s.world.mu.Lock()
		h.mishears()
		s.world.late = append(s.world.late, func() { _, _ = inner(context.WithoutCancel(ctx)) })
		s.world.mu.Unlock()
	case dieAfter:
		_, _ = inner(ctx)
		return none, errDead
	case die:
		return none, errDead
	}
	return none, errBroken
}

func (s *store) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	return call(ctx, s, "Get", func(ctx context.Context) (*core.Installation, error) {
		began := time.Now()
		row, err := s.world.store.Get(ctx, key)
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		if err == nil || errors.Is(err, core.ErrNotFound) {
			s.replica.lastGood = began
			if h != nil {
				h.saw = row
			}
		}
		return row, err
	})
}

func (s *store) Put(ctx context.Context, row *core.Installation) (int64, error) {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	return call(ctx, s, "Put", func(ctx context.Context) (int64, error) {
		revision, err := s.world.store.Put(ctx, row)
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		if err == nil {
			s.replica.lastGood = time.Now()
			s.world.committed(h, row.Key)
		}
		if errors.Is(err, core.ErrConflict) {
			s.world.events[metAnotherWrite] = true
		}
		return revision, err
	})
}

func (s *store) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	h, _ := ctx.Value(handlingKey{}).(*handling)
	return call(ctx, s, "Claim", func(ctx context.Context) (core.Claim, error) {
		first, err := s.world.store.Claim(ctx, claim)
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		if err == nil && h != nil {
			h.delivery.claimed = true
		}
		return first, err
	})
}

func (s *store) Delete(ctx context.Context, key core.Key, revision int64) error {
	_, err := call(ctx, s, "Delete", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.world.store.Delete(ctx, key, revision)
	})
	return err
}

// The rest goes on as long as the process lives and the database is reached: what it does is not about secrets.

func (s *store) up() error {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	switch {
	case s.dead:
		return errDead
	case s.replica.down:
		return errBroken
	}
	return nil
}

func (s *store) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	return s.world.store.List(ctx, appKey, after, limit)
}

func (s *store) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	return s.world.store.Find(ctx, appKey, by, value)
}

func (s *store) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	return s.world.store.Bindings(ctx, appKey)
}

func (s *store) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	if err := s.up(); err != nil {
		return err
	}
	err := s.world.store.Touch(ctx, key, activity)
	if err == nil && key == s.world.key && !activity.SeenAt.IsZero() {
		s.world.mu.Lock()
		defer s.world.mu.Unlock()
		s.world.seenAt = activity.SeenAt
	}
	return err
}

func (s *store) Revoke(ctx context.Context, revocation core.Revocation) error {
	if err := s.up(); err != nil {
		return err
	}
	return s.world.store.Revoke(ctx, revocation)
}

func (s *store) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	if err := s.up(); err != nil {
		return nil, err
	}
	return s.world.store.Revocations(ctx, appKey)
}
