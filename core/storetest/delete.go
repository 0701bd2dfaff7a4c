package storetest

import (
	"fmt"
	"time"

	"github.com/hostbond/hostbond/core"
)

var deleteRules = []rule{
	{
		name:  "removes",
		text:  stated("A deleted row is gone for Get, List, Find and Bindings."),
		check: deleteRemoves,
	},
	{
		name:  "other revision",
		text:  stated("Delete at another revision than the stored one returns ErrConflict and changes nothing."),
		check: deleteOtherRevision,
	},
	{
		name:  "missing row",
		text:  stated("Delete of a key that has no row returns ErrNotFound, whatever the revision."),
		check: deleteMissing,
	},
	{
		name:  "own row only",
		text:  stated("Delete removes no other row: not of the app's other clients, not of the client's other apps."),
		check: deleteOwnRow,
	},
	{
		name:  "revision not re-used",
		text:  stated("A row that is put again after Delete goes on with a greater revision; the old ones stay in conflict."),
		check: deleteRevision,
	},
	{
		name:  "nothing comes back",
		text:  stated("A row that is put again after Delete is new: nothing of the old one is left, its Activity neither."),
		check: deleteNothingComesBack,
	},
	{
		name:  "claims and revocations stay",
		text:  stated("Delete removes neither the app's claims nor the tenant's revocations: what was barred stays barred."),
		check: deleteKeepsClaimsAndRevocations,
	},
	{
		name:  "one winner",
		text:  stated("Of many that delete or put at once one wins; the others get ErrConflict or ErrNotFound."),
		check: deleteOneWinner,
	},
}

func deleteRemoves(t *trial) {
	row := t.put(t.bound("a", newerAppSecret))
	t.delete(row)
	t.wantMissing(row.Key)
	t.wantListed(t.list(t.app, "", 10))
	t.wantFound(t.app, core.ByBaseURL, row.Site.BaseURL)
	t.wantBindings(t.app, nil)
}

func deleteOtherRevision(t *trial) {
	first := t.put(t.installation("a"))
	second := t.put(first)
	for _, revision := range []int64{0, first.Revision, second.Revision + 1, -1} {
		err := t.store.Delete(t.Context(), second.Key, revision)
		t.wantError(err, core.ErrConflict, "Delete at revision %d of a row at %d", revision, second.Revision)
		t.wantStored(second)
	}
}

func deleteMissing(t *trial) {
	row := t.put(t.installation("a"))
	t.delete(row)
	for _, revision := range []int64{0, 1, row.Revision} {
		err := t.store.Delete(t.Context(), row.Key, revision)
		t.wantError(err, core.ErrNotFound, "Delete at revision %d of a deleted row", revision)
		err = t.store.Delete(t.Context(), t.key("never there"), revision)
		t.wantError(err, core.ErrNotFound, "Delete at revision %d of a row that never was", revision)
	}
}

func deleteOwnRow(t *trial) {
	row := t.put(t.installation("a"))
	others := t.neighbours(row.Key)

	t.delete(row)
	t.wantStored(others...)
}

func deleteRevision(t *trial) {
	var last int64
	for range 5 {
		row := t.put(t.installation("a"))
		row = t.put(row)
		if row.Revision <= last {
			t.Fatalf("Put after Delete: got revision %d, want one above %d", row.Revision, last)
		}
		last = row.Revision
		t.delete(row)

		// A caller that read the row before its end must not bring it back.
		_, err := t.store.Put(t.Context(), row)
		t.wantError(err, core.ErrConflict, "Put at the revision of the deleted row")

		again := t.put(t.installation("a"))
		if again.Revision <= last {
			t.Fatalf("Put after Delete: got revision %d, want one above %d", again.Revision, last)
		}
		_, err = t.store.Put(t.Context(), row)
		t.wantError(err, core.ErrConflict, "Put at a revision from before Delete")
		t.wantError(t.store.Delete(t.Context(), row.Key, row.Revision), core.ErrConflict, "Delete at such a revision")
		t.wantStored(again)

		last = again.Revision
		t.delete(again)
	}
}

func deleteNothingComesBack(t *trial) {
	row := t.put(full(t.key("a"), 1, time.UTC))
	t.touch(row.Key, t.activityAt(noon, core.ReasonStale))
	t.delete(row)

	err := t.store.Touch(t.Context(), row.Key, core.Activity{SeenAt: noon})
	t.wantError(err, core.ErrNotFound, "Touch of a deleted row")
	t.wantStored(t.put(t.installation("a")))
}

func deleteKeepsClaimsAndRevocations(t *trial) {
	row := t.put(t.installation("a"))
	claim := core.Claim{AppKey: t.app, ID: [32]byte{1}, Body: [32]byte{2}, At: noon, ExpiresAt: noon.Add(time.Hour)}
	t.claim(claim)
	revocation := core.Revocation{AppKey: t.app, ClientKey: "a", Fingerprint: row.Newest(), Reason: "leaked", At: noon}
	t.revoke(revocation)

	t.delete(row)
	other := claim
	other.Body = [32]byte{3}
	t.wantEqual("the claim", t.claim(other), claim)
	t.wantRevocations(t.app, revocation)
}

func deleteOneWinner(t *trial) {
	for round := range rounds {
		row := t.put(t.installation(fmt.Sprint("round ", round)))
		var revisions [rivals]int64
		winner := t.race(func(rival int) (err error) {
			if rival%2 == 0 {
				return t.store.Delete(t.Context(), row.Key, row.Revision)
			}
			revisions[rival], err = t.store.Put(t.Context(), row.Clone())
			return err
		}, core.ErrConflict, core.ErrNotFound)

		if winner%2 == 0 {
			t.wantMissing(row.Key)
		} else {
			row.Revision = revisions[winner]
			t.wantStored(row)
		}
	}
}
