package crowds

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

// This file proves that the test of the stores sees what it is for.

func TestAStoreWithAFaultIsFoundOut(t *testing.T) {
	seed := runs.Seed(t)
	for name, broken := range map[string]func(core.Store) core.Store{
		"writes without comparing revisions":  func(s core.Store) core.Store { return blind{s} },
		"reads what was there before":         func(s core.Store) core.Store { return &stale{Store: s} },
		"lets the last claim win":             func(s core.Store) core.Store { return lastClaim{s} },
		"deletes without comparing revisions": func(s core.Store) core.Store { return rash{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := broken(memstore.New())
			history := record(t, [2]core.Store{store, store}, seed, 2_000)
			if got := porcupine.CheckOperationsTimeout(model, history, time.Minute); got != porcupine.Illegal {
				t.Errorf("got a history that is %s, want %s: the fault is not seen", got, porcupine.Illegal)
			}
		})
	}
}

// blind reads the revision itself, so that no writer meets a conflict.
type blind struct{ core.Store }

func (s blind) Put(ctx context.Context, row *core.Installation) (int64, error) {
	for {
		overwriting := row.Clone()
		overwriting.Revision = 0
		if stored, err := s.Get(ctx, row.Key); err == nil {
			overwriting.Revision = stored.Revision
		}
		if revision, err := s.Store.Put(ctx, overwriting); !errors.Is(err, core.ErrConflict) {
			return revision, err
		}
	}
}

// rash does the same for Delete.
type rash struct{ core.Store }

func (s rash) Delete(ctx context.Context, key core.Key, _ int64) error {
	for {
		stored, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		if err := s.Store.Delete(ctx, key, stored.Revision); !errors.Is(err, core.ErrConflict) {
			return err
		}
	}
}

// stale reads from a copy that is one write behind, as a database's replica is.
type stale struct {
	core.Store
	mu     sync.Mutex
	behind map[core.Key]*core.Installation
	latest map[core.Key]*core.Installation
}

func (s *stale) Put(ctx context.Context, row *core.Installation) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	revision, err := s.Store.Put(ctx, row)
	if err != nil {
		return 0, err
	}
	if s.latest == nil {
		s.behind, s.latest = map[core.Key]*core.Installation{}, map[core.Key]*core.Installation{}
	}
	written := row.Clone()
	written.Revision = revision
	s.behind[row.Key], s.latest[row.Key] = s.latest[row.Key], written
	return revision, nil
}

func (s *stale) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, err := s.Store.Get(ctx, key)
	if before := s.behind[key]; err == nil && before != nil {
		return before.Clone(), nil
	}
	return row, err
}

// lastClaim returns the claim that was made, and not the first one.
type lastClaim struct{ core.Store }

func (s lastClaim) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	_, err := s.Store.Claim(ctx, claim)
	return claim, err
}

// Each of these is all that happens to one row or claim, step by step. Only the last reply is to be judged.
func TestTheModelTellsRightRepliesFromWrongOnes(t *testing.T) {
	type step struct {
		request
		reply
	}
	read := func(revision int64, value string) step {
		return step{request{action: get}, reply{done, revision, value}}
	}
	absent := step{request{action: get}, reply{word: notFound}}
	write := func(at int64, value string, becomes int64) step {
		return step{request{action: put, revision: at, value: value}, reply{word: done, revision: becomes}}
	}
	writeFails := func(at int64, how word) step {
		return step{request{action: put, revision: at, value: "refused"}, reply{word: how}}
	}
	remove := func(at int64, how word) step {
		return step{request{action: erase, revision: at}, reply{word: how}}
	}
	claims := func(value, stored string) step {
		return step{request{action: claim, value: value}, reply{word: done, value: stored}}
	}
	for name, test := range map[string]struct {
		right bool
		steps []step
	}{
		"no row":                              {true, []step{absent}},
		"a row from nowhere":                  {false, []step{read(1, "a")}},
		"what was written":                    {true, []step{write(0, "a", 1), read(1, "a")}},
		"another value":                       {false, []step{write(0, "a", 1), read(1, "b")}},
		"another revision":                    {false, []step{write(0, "a", 1), read(2, "a")}},
		"a row that is lost":                  {false, []step{write(0, "a", 1), absent}},
		"what was overwritten":                {false, []step{write(0, "a", 1), write(1, "b", 2), read(1, "a")}},
		"a revision that grows by more":       {true, []step{write(0, "a", 7), write(7, "b", 9)}},
		"a revision that does not grow":       {false, []step{write(0, "a", 7), write(7, "b", 7)}},
		"a first revision of nought":          {false, []step{write(0, "a", 0)}},
		"a write at an old revision":          {false, []step{write(0, "a", 1), write(1, "b", 2), write(1, "c", 3)}},
		"a conflict at an old revision":       {true, []step{write(0, "a", 1), write(1, "b", 2), writeFails(1, conflict)}},
		"a conflict at the right revision":    {false, []step{write(0, "a", 1), writeFails(1, conflict)}},
		"a second first write":                {false, []step{write(0, "a", 1), write(0, "b", 2)}},
		"a conflict of the second":            {true, []step{write(0, "a", 1), writeFails(0, conflict)}},
		"a conflict without a row":            {true, []step{writeFails(4, conflict)}},
		"a conflict of the first write":       {false, []step{writeFails(0, conflict)}},
		"no row to write":                     {false, []step{writeFails(4, notFound)}},
		"a deletion":                          {true, []step{write(0, "a", 1), remove(1, done), absent}},
		"a row after its deletion":            {false, []step{write(0, "a", 1), remove(1, done), read(1, "a")}},
		"a deletion at an old revision":       {false, []step{write(0, "a", 1), write(1, "b", 2), remove(1, done)}},
		"a conflict of that":                  {true, []step{write(0, "a", 1), write(1, "b", 2), remove(1, conflict)}},
		"a conflict at what would be deleted": {false, []step{write(0, "a", 1), remove(1, conflict)}},
		"no row to delete":                    {true, []step{write(0, "a", 1), remove(1, done), remove(1, notFound)}},
		"a conflict about no row":             {false, []step{write(0, "a", 1), remove(1, done), remove(1, conflict)}},
		"no row though there is one":          {false, []step{write(0, "a", 1), remove(1, notFound)}},
		"a row that comes again":              {true, []step{write(0, "a", 1), remove(1, done), write(0, "b", 2), read(2, "b")}},
		"a revision that comes again":         {false, []step{write(0, "a", 1), remove(1, done), write(0, "b", 1)}},
		"a write to what was deleted":         {false, []step{write(0, "a", 1), remove(1, done), write(1, "b", 2)}},
		"the first claim":                     {true, []step{claims("a", "a"), claims("b", "a")}},
		"the second claim":                    {false, []step{claims("a", "a"), claims("b", "b")}},
		"a claim of nobody":                   {false, []step{claims("a", "b")}},
	} {
		state, right := register{}, false
		for n, step := range test.steps {
			right, state = state.step(step.request, step.reply)
			if !right && n < len(test.steps)-1 {
				t.Errorf("%s: step %d is wrong already", name, n+1)
			}
		}
		if right != test.right {
			t.Errorf("%s: got %v, want %v", name, right, test.right)
		}
	}
}
