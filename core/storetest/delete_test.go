package storetest

import (
	"context"
	"errors"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

// overdelete deletes the row whatever its revision.
func overdelete(ctx context.Context, right core.Store, key core.Key) error {
	for {
		stored, err := right.Get(ctx, key)
		if err != nil {
			return err
		}
		if err := right.Delete(ctx, key, stored.Revision); !errors.Is(err, core.ErrConflict) {
			return err
		}
	}
}

// hides deletes for Get only.
type hides struct {
	core.Store
	hidden map[core.Key]bool
}

func (s hides) Delete(ctx context.Context, key core.Key, revision int64) error {
	i, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if i.Revision != revision {
		return core.ErrConflict
	}
	s.hidden[key] = true
	return nil
}

func (s hides) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	if s.hidden[key] {
		return nil, core.ErrNotFound
	}
	return s.Store.Get(ctx, key)
}

// deletesBlindly compares no revisions.
type deletesBlindly struct{ core.Store }

func (s deletesBlindly) Delete(ctx context.Context, key core.Key, _ int64) error {
	return overdelete(ctx, s.Store, key)
}

// contentWithNothing has nothing against deleting what is not there.
type contentWithNothing struct{ core.Store }

func (s contentWithNothing) Delete(ctx context.Context, key core.Key, revision int64) error {
	if err := s.Store.Delete(ctx, key, revision); !errors.Is(err, core.ErrNotFound) {
		return err
	}
	return nil
}

// deletesNeighbours deletes all rows of the app.
type deletesNeighbours struct{ core.Store }

func (s deletesNeighbours) Delete(ctx context.Context, key core.Key, revision int64) error {
	if err := s.Store.Delete(ctx, key, revision); err != nil {
		return err
	}
	rows, err := s.List(ctx, key.AppKey, "", 1000)
	for _, row := range rows {
		_ = overdelete(ctx, s.Store, row.Key)
	}
	return err
}

// countsFromOne begins at revision 1 with each new row.
type countsFromOne struct {
	core.Store
	base map[core.Key]int64 // what the right store's revisions exceed ours by
}

func (s countsFromOne) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	i := installation.Clone()
	if i.Revision != 0 {
		i.Revision += s.base[i.Key]
	}
	revision, err := s.Store.Put(ctx, i)
	if err != nil {
		return 0, err
	}
	if i.Revision == 0 {
		s.base[i.Key] = revision - 1
	}
	return revision - s.base[i.Key], nil
}

func (s countsFromOne) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err == nil {
		i.Revision -= s.base[key]
	}
	return i, err
}

func (s countsFromOne) Delete(ctx context.Context, key core.Key, revision int64) error {
	return s.Store.Delete(ctx, key, revision+s.base[key])
}

// keepsFact has a part of the activity in a table of its own, which Delete forgets.
type keepsFact struct {
	core.Store
	set      func(to *core.Activity, from core.Activity)
	activity map[core.Key]core.Activity
}

func (s keepsFact) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	err := s.Store.Touch(ctx, key, activity)
	if err == nil {
		s.activity[key] = rightly(s.activity[key], activity)
	}
	return err
}

func (s keepsFact) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	i, err := s.Store.Get(ctx, key)
	if err == nil {
		s.set(&i.Activity, s.activity[key])
	}
	return i, err
}

// forgetsAll takes all that hangs on a row with it.
type forgetsAll struct {
	core.Store
	rest core.Store // holds the claims and the revocations
}

func (s *forgetsAll) Delete(ctx context.Context, key core.Key, revision int64) error {
	err := s.Store.Delete(ctx, key, revision)
	if err == nil {
		s.rest = memstore.New()
	}
	return err
}

func (s *forgetsAll) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	return s.rest.Claim(ctx, claim)
}

func (s *forgetsAll) Revoke(ctx context.Context, revocation core.Revocation) error {
	return s.rest.Revoke(ctx, revocation)
}

func (s *forgetsAll) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	return s.rest.Revocations(ctx, appKey)
}

// readsThenDeletes compares revisions, but not in the same step as it deletes.
type readsThenDeletes struct{ core.Store }

func (s readsThenDeletes) Delete(ctx context.Context, key core.Key, revision int64) error {
	stored, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if stored.Revision != revision {
		return core.ErrConflict
	}
	pause() // while others put
	if err := overdelete(ctx, s.Store, key); !errors.Is(err, core.ErrNotFound) {
		return err
	}
	return nil
}

func (s readsThenDeletes) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	pause() // until others are about to delete
	return s.Store.Put(ctx, installation)
}

var deleteFaults = []fault{
	{
		name:   "Delete hides the row from Get only",
		wrap:   func(right core.Store) core.Store { return hides{right, map[core.Key]bool{}} },
		breaks: []string{"Delete/removes"},
	},
	{
		name:   "Delete does not compare",
		wrap:   func(right core.Store) core.Store { return deletesBlindly{right} },
		breaks: []string{"Delete/other revision", "Delete/revision not re-used"},
	},
	{
		name:   "Delete of nothing is no error",
		wrap:   func(right core.Store) core.Store { return contentWithNothing{right} },
		breaks: []string{"Delete/missing row"},
	},
	{
		name:   "Delete takes other rows with it",
		wrap:   func(right core.Store) core.Store { return deletesNeighbours{right} },
		breaks: []string{"Delete/own row only"},
	},
	{
		name:   "revisions begin anew after Delete",
		wrap:   func(right core.Store) core.Store { return countsFromOne{right, map[core.Key]int64{}} },
		breaks: []string{"Delete/revision not re-used"},
	},
	{
		name:   "claims and revocations go with the row",
		wrap:   func(right core.Store) core.Store { return &forgetsAll{Store: right, rest: memstore.New()} },
		breaks: []string{"Delete/claims and revocations stay"},
	},
	{
		name:   "Delete reads, then deletes",
		wrap:   func(right core.Store) core.Store { return readsThenDeletes{right} },
		breaks: []string{"Delete/one winner"},
	},
}
