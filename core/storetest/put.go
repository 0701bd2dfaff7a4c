package storetest

import (
	"errors"
	"fmt"

	"github.com/hostbond/hostbond/core"
)

var putRules = []rule{
	{
		name:  "create",
		text:  stated("Put at revision 0 creates the row, at a revision above 0 that Get then returns."),
		check: putCreate,
	},
	{
		name:  "existing row",
		text:  stated("Put at revision 0 of a key that has a row returns ErrConflict and changes nothing."),
		check: putExisting,
	},
	{
		name:  "other revision",
		text:  stated("Put at another revision than the stored one, older or newer, is ErrConflict and changes nothing."),
		check: putOtherRevision,
	},
	{
		name:  "missing row",
		text:  stated("Put at a revision above 0 of a key that has no row returns ErrConflict and creates none."),
		check: putMissing,
	},
	{
		name:  "revision grows",
		text:  stated("Every Put returns a greater revision, also if it changes nothing else."),
		check: putRevisionGrows,
	},
	{
		name:  "own row only",
		text:  stated("Put changes no other row: not of the app's other clients, not of the client's other apps."),
		check: putOwnRow,
	},
	{
		name:  "one winner",
		text:  stated("Of many that put on one revision at once one wins; the others get ErrConflict and leave no trace."),
		check: putOneWinner,
	},
	{
		name:  "one creator",
		text:  stated("Of many that create one row at once one wins; the others get ErrConflict and leave no trace."),
		check: putOneCreator,
	},
	{
		name:  "no lost update",
		text:  stated("Writers that get, change and put, and start over on ErrConflict, all get through and lose no change."),
		check: putNoLostUpdate,
	},
}

func putCreate(t *trial) {
	row := t.put(t.installation("a"))
	if row.Revision <= 0 {
		t.Errorf("Put: got revision %d, want one above 0, which stands for no row", row.Revision)
	}
	t.wantStored(row)
}

func putExisting(t *trial) {
	row := t.put(t.installation("a"))

	again := t.installation("a")
	again.SecretVersion = 2
	_, err := t.store.Put(t.Context(), again)
	t.wantError(err, core.ErrConflict, "Put at revision 0 of an existing row")
	t.wantStored(row)
}

func putOtherRevision(t *trial) {
	first := t.put(t.installation("a"))
	second := t.put(first)

	for _, revision := range []int64{first.Revision, second.Revision + 1, -1} {
		i := t.installation("a")
		i.Revision, i.SecretVersion = revision, 2
		_, err := t.store.Put(t.Context(), i)
		t.wantError(err, core.ErrConflict, "Put at revision %d of a row at %d", revision, second.Revision)
		t.wantStored(second)
	}
}

func putMissing(t *trial) {
	i := t.installation("a")
	i.Revision = 1
	_, err := t.store.Put(t.Context(), i)
	t.wantError(err, core.ErrConflict, "Put at revision 1 of a missing row")
	t.wantMissing(i.Key)
}

func putRevisionGrows(t *trial) {
	row := t.put(t.installation("a"))
	for range 20 {
		next := t.put(row)
		if next.Revision <= row.Revision {
			t.Fatalf("Put at revision %d: got revision %d, want a greater one", row.Revision, next.Revision)
		}
		row = next
	}
}

func putOwnRow(t *trial) {
	row := t.put(t.installation("a"))
	others := t.neighbours(row.Key)

	row.SecretVersion = 2
	t.put(row)
	t.wantStored(others...)
}

func putOneWinner(t *trial) {
	for round := range rounds {
		t.wantOneWinner(t.put(t.installation(fmt.Sprint("round ", round))))
	}
}

func putOneCreator(t *trial) {
	for round := range rounds {
		t.wantOneWinner(t.installation(fmt.Sprint("round ", round)))
	}
}

// wantOneWinner has the rivals put on the revision of base, each an installation of its own.
func (t *trial) wantOneWinner(base *core.Installation) {
	t.Helper()
	var mine [rivals]*core.Installation
	for rival := range mine {
		mine[rival] = base.Clone()
		mine[rival].SecretVersion = int64(100 + rival)
		mine[rival].Site.Description = fmt.Sprint("rival ", rival)
	}
	var revisions [rivals]int64
	winner := t.race(func(rival int) (err error) {
		revisions[rival], err = t.store.Put(t.Context(), mine[rival])
		return err
	}, core.ErrConflict)

	mine[winner].Revision = revisions[winner]
	t.wantStored(mine[winner])
}

func putNoLostUpdate(t *trial) {
	row := t.installation("a")
	row.SecretVersion = 0
	t.put(row)

	const writers, each = 8, 8
	errs := make([]error, writers)
	together(writers, func(writer int) {
		for range each {
			if errs[writer] = t.increment(row.Key, writers*each); errs[writer] != nil {
				return
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatalf("a writer: got error %v, want none", err)
		}
	}
	if got := t.get(row.Key).SecretVersion; got != writers*each {
		t.Errorf("%d writers that count to %d each: got %d, want %d", writers, each, got, writers*each)
	}
}

// increment adds one to the row's SecretVersion, as every caller of Put does it. In a race of so many updates, that
// many tries are enough: each conflict means that another update got through since the row was read.
func (t *trial) increment(key core.Key, updates int) error {
	for range updates {
		row, err := t.store.Get(t.Context(), key)
		if err != nil {
			return err
		}
		row.SecretVersion++
		if _, err := t.store.Put(t.Context(), row); !errors.Is(err, core.ErrConflict) {
			return err
		}
	}
	return errors.New("more conflicts than there were updates to conflict with")
}
