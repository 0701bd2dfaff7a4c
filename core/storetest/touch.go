package storetest

import (
	"fmt"
	"time"

	"github.com/hostbond/hostbond/core"
)

var touchRules = []rule{
	{
		name:  "records",
		text:  stated("Every field of an activity comes back as it was touched, its times in UTC."),
		check: touchRecords,
	},
	{
		name:  "nothing else",
		text:  stated("Touch changes no revision, no UpdatedAt, no other field: a Put at the revision read before it wins."),
		check: touchNothingElse,
	},
	{
		name:  "kept by Put",
		text:  stated("Put writes no activity, neither the first one of a row nor an older one over a newer."),
		check: touchKeptByPut,
	},
	{
		name:  "zero fields",
		text:  stated("Touch leaves alone what is zero in the activity; nothing to change is no error."),
		check: touchZeroFields,
	},
	{
		name:  "never back",
		text:  stated("Touch moves no time back, and an older one is no error."),
		check: touchNeverBack,
	},
	{
		name:  "one refusal",
		text:  stated("The time and the reason of a refusal are one fact: an older one replaces neither, a newer one both."),
		check: touchOneRefusal,
	},
	{
		name:  "missing row",
		text:  stated("Touch of a key that has no row returns ErrNotFound and creates none."),
		check: touchMissing,
	},
	{
		name:  "own row only",
		text:  stated("Touch changes no other row: not of the app's other clients, not of the client's other apps."),
		check: touchOwnRow,
	},
	{
		name:  "at once with Put",
		text:  stated("Touches and Puts at once undo nothing of each other: the newest time and every update are there."),
		check: touchAtOnce,
	},
}

// activityAt returns an activity of which everything happened at the same time.
func activityAt(at time.Time, refusal core.ReasonCode) core.Activity {
	return core.Activity{SeenAt: at, RefusedAt: at, RefusedReason: refusal}
}

// wantTouched checks that the store holds row with the activity.
func (t *trial) wantTouched(row *core.Installation, activity core.Activity) {
	t.Helper()
	want := row.Clone()
	want.Activity = activity
	t.wantStored(want)
}

func touchRecords(t *trial) {
	row := t.put(t.installation("a"))
	var activity core.Activity
	fill(&activity, 1, time.FixedZone("east", 5*60*60))
	t.touch(row.Key, activity)
	t.wantTouched(row, activity)

	fill(&activity, 1000, time.UTC)
	t.touch(row.Key, activity)
	t.wantTouched(row, activity)
}

func touchNothingElse(t *trial) {
	row := t.put(full(t.key("a"), 1, time.UTC))
	activity := activityAt(noon.AddDate(10, 0, 0), core.ReasonStale)
	t.touch(row.Key, activity)
	t.wantTouched(row, activity)

	row.SecretVersion++
	t.wantTouched(t.put(row), activity)
}

func touchKeptByPut(t *trial) {
	newer := activityAt(noon.Add(time.Hour), core.ReasonStale)
	older := activityAt(noon, core.ReasonAudience)

	row := t.installation("a")
	row.Activity = older
	row = t.put(row)
	t.wantTouched(row, core.Activity{})

	t.touch(row.Key, newer)
	for _, stale := range []core.Activity{{}, older, {SeenAt: noon.Add(2 * time.Hour)}} {
		row.Activity = stale
		row = t.put(row)
		t.wantTouched(row, newer)
	}
}

func touchZeroFields(t *trial) {
	row := t.put(t.installation("a"))
	t.touch(row.Key, core.Activity{})
	t.wantTouched(row, core.Activity{})

	activity := core.Activity{SeenAt: noon}
	t.touch(row.Key, activity)
	activity.RefusedAt, activity.RefusedReason = noon.Add(time.Hour), core.ReasonStale
	t.touch(row.Key, core.Activity{RefusedAt: activity.RefusedAt, RefusedReason: activity.RefusedReason})
	t.wantTouched(row, activity)

	activity.SeenAt = noon.Add(time.Minute)
	t.touch(row.Key, core.Activity{SeenAt: activity.SeenAt})
	t.wantTouched(row, activity)

	t.touch(row.Key, core.Activity{})
	t.wantTouched(row, activity)
}

func touchNeverBack(t *trial) {
	row := t.put(t.installation("a"))
	activity := activityAt(noon, core.ReasonStale)
	t.touch(row.Key, activity)
	t.touch(row.Key, activity) // the same again: a database may say that it changed no row
	t.touch(row.Key, core.Activity{SeenAt: noon.Add(-time.Second)})
	t.touch(row.Key, activityAt(noon.AddDate(-1, 0, 0), core.ReasonStale))
	t.wantTouched(row, activity)

	// One goes forward though the other would go back.
	activity.SeenAt = noon.Add(time.Second)
	t.touch(row.Key, core.Activity{
		SeenAt: activity.SeenAt, RefusedAt: noon.AddDate(-1, 0, 0), RefusedReason: core.ReasonStale,
	})
	t.wantTouched(row, activity)
}

func touchOneRefusal(t *trial) {
	row := t.put(t.installation("a"))
	newer := core.Activity{RefusedAt: noon, RefusedReason: core.ReasonStale}
	t.touch(row.Key, newer)
	t.touch(row.Key, core.Activity{RefusedAt: noon.Add(-time.Hour), RefusedReason: core.ReasonAudience})
	t.wantTouched(row, newer)

	newest := core.Activity{RefusedAt: noon.Add(time.Hour), RefusedReason: core.ReasonStore}
	t.touch(row.Key, newest)
	t.wantTouched(row, newest)
}

func touchMissing(t *trial) {
	activity := core.Activity{SeenAt: noon}
	t.wantError(t.store.Touch(t.Context(), t.key("a"), activity), core.ErrNotFound, "Touch of a missing row")
	t.wantMissing(t.key("a"))
	t.wantStored(t.put(t.installation("a")))
}

func touchOwnRow(t *trial) {
	row := t.put(t.installation("a"))
	others := t.neighbours(row.Key)

	t.touch(row.Key, activityAt(noon, core.ReasonStale))
	t.wantStored(others...)
}

func touchAtOnce(t *trial) {
	for round := range rounds {
		row := t.installation(fmt.Sprint("round ", round))
		row.SecretVersion = 0
		t.put(row)

		// Half of the rivals count, half touch, and the latest time need not come last.
		errs := make([]error, rivals)
		together(rivals, func(rival int) {
			if rival%2 == 0 {
				errs[rival] = t.increment(row.Key, rivals/2)
			} else {
				seen := core.Activity{SeenAt: noon.Add(time.Duration(rival) * time.Minute)}
				errs[rival] = t.store.Touch(t.Context(), row.Key, seen)
			}
		})
		for _, err := range errs {
			if err != nil {
				t.Fatalf("Touch and Put at once: got error %v, want none", err)
			}
		}
		got := t.get(row.Key)
		if want := noon.Add((rivals - 1) * time.Minute); !got.Activity.SeenAt.Equal(want) {
			t.Errorf("Touch and Put at once: got seen at %s, want %s", got.Activity.SeenAt, want)
		}
		if got.SecretVersion != rivals/2 {
			t.Errorf("Touch and Put at once: got %d updates, want %d", got.SecretVersion, rivals/2)
		}
	}
}
