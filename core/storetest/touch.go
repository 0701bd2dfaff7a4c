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
		name:  "one use",
		text:  stated("The time and the secret of a first use are one fact: an older one replaces neither, a newer one both."),
		check: touchOneUse,
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

// facts are what an activity is made of. Each goes from one activity to another as a whole.
var facts = []func(to *core.Activity, from core.Activity){
	func(to *core.Activity, from core.Activity) { to.SeenAt = from.SeenAt },
	func(to *core.Activity, from core.Activity) {
		to.RefusedAt, to.RefusedReason = from.RefusedAt, from.RefusedReason
	},
	func(to *core.Activity, from core.Activity) {
		to.FirstUsedAt, to.FirstUsed = from.FirstUsedAt, from.FirstUsed
	},
	func(to *core.Activity, from core.Activity) { to.DesyncSuspectedAt = from.DesyncSuspectedAt },
}

// activityAt returns an activity of which everything happened at the same time. At another time the secret that was
// first used is another one.
func (t *trial) activityAt(at time.Time, refusal core.ReasonCode) core.Activity {
	t.Helper()
	return core.Activity{
		SeenAt:            at,
		RefusedAt:         at,
		RefusedReason:     refusal,
		FirstUsed:         t.secret("the newest secret of " + at.String()).Fingerprint(),
		FirstUsedAt:       at,
		DesyncSuspectedAt: at,
	}
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
	activity := t.activityAt(noon.AddDate(10, 0, 0), core.ReasonStale)
	t.touch(row.Key, activity)
	t.wantTouched(row, activity)

	row.SecretVersion++
	t.wantTouched(t.put(row), activity)
}

func touchKeptByPut(t *trial) {
	older := t.activityAt(noon, core.ReasonAudience)
	touched := t.activityAt(noon.Add(time.Hour), core.ReasonStale)
	newer := t.activityAt(noon.Add(2*time.Hour), core.ReasonStore)

	row := t.installation("a")
	row.Activity = older
	row = t.put(row)
	t.wantTouched(row, core.Activity{})

	t.touch(row.Key, touched)
	for _, other := range []core.Activity{{}, older, newer} {
		row.Activity = other
		row = t.put(row)
		t.wantTouched(row, touched)
	}
}

func touchZeroFields(t *trial) {
	row := t.put(t.installation("a"))
	t.touch(row.Key, core.Activity{})
	t.wantTouched(row, core.Activity{})

	var want core.Activity
	for _, activity := range []core.Activity{
		t.activityAt(noon, core.ReasonStale), t.activityAt(noon.Add(time.Hour), core.ReasonAudience),
	} {
		for _, set := range facts {
			var alone core.Activity
			set(&alone, activity)
			t.touch(row.Key, alone)
			set(&want, activity)
			t.wantTouched(row, want)
		}
	}

	t.touch(row.Key, core.Activity{})
	t.wantTouched(row, want)
}

func touchNeverBack(t *trial) {
	row := t.put(t.installation("a"))
	want := t.activityAt(noon, core.ReasonStale)
	t.touch(row.Key, want)
	t.touch(row.Key, want) // the same again: a database may say that it changed no row
	for _, set := range facts {
		var older core.Activity
		set(&older, t.activityAt(noon.Add(-time.Second), core.ReasonStale))
		t.touch(row.Key, older)
	}
	t.wantTouched(row, want)

	// One goes forward though the others would go back.
	older := t.activityAt(noon.AddDate(-1, 0, 0), core.ReasonStale)
	newer := t.activityAt(noon.Add(time.Second), core.ReasonStale)
	for _, set := range facts {
		mixed := older
		set(&mixed, newer)
		t.touch(row.Key, mixed)
		set(&want, newer)
		t.wantTouched(row, want)
	}
}

func touchOneRefusal(t *trial) {
	t.wantOneFact(
		core.Activity{RefusedAt: noon.Add(-time.Hour), RefusedReason: core.ReasonAudience},
		core.Activity{RefusedAt: noon, RefusedReason: core.ReasonStale},
		core.Activity{RefusedAt: noon.Add(time.Hour), RefusedReason: core.ReasonStore},
	)
}

func touchOneUse(t *trial) {
	used := func(secret string, at time.Time) core.Activity {
		return core.Activity{FirstUsed: t.secret(secret).Fingerprint(), FirstUsedAt: at}
	}
	t.wantOneFact(
		used("the secret before", noon.Add(-time.Hour)),
		used("the secret in use", noon),
		used("the secret after it", noon.Add(time.Hour)),
	)
}

// wantOneFact checks that after a fact an older one changes nothing, and a newer one takes its place.
func (t *trial) wantOneFact(older, fact, newer core.Activity) {
	t.Helper()
	row := t.put(t.installation("a"))
	t.touch(row.Key, fact)
	t.touch(row.Key, older)
	t.wantTouched(row, fact)

	t.touch(row.Key, newer)
	t.wantTouched(row, newer)
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

	t.touch(row.Key, t.activityAt(noon, core.ReasonStale))
	t.wantStored(others...)
}

func touchAtOnce(t *trial) {
	for round := range rounds {
		row := t.installation(fmt.Sprint("round ", round))
		row.SecretVersion = 0
		t.put(row)

		// Half of the rivals count, half touch, and the latest time need not come last.
		errs := make([]error, rivals)
		activities := make([]core.Activity, rivals)
		for rival := range rivals {
			reason := core.ReasonCode(oneOf(rival/2, core.ReasonStale, core.ReasonAudience, core.ReasonStore))
			activities[rival] = t.activityAt(noon.Add(time.Duration(rival)*time.Minute), reason)
		}
		together(rivals, func(rival int) {
			if rival%2 == 0 {
				errs[rival] = t.increment(row.Key, rivals/2)
			} else {
				errs[rival] = t.store.Touch(t.Context(), row.Key, activities[rival])
			}
		})
		for _, err := range errs {
			if err != nil {
				t.Fatalf("Touch and Put at once: got error %v, want none", err)
			}
		}
		got := t.get(row.Key)
		t.wantEqual("the activity after Touch and Put at once", got.Activity, activities[rivals-1])
		if got.SecretVersion != rivals/2 {
			t.Errorf("Touch and Put at once: got %d updates, want %d", got.SecretVersion, rivals/2)
		}
	}
}
