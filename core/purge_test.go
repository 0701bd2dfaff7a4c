package core

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// When an installation may be deleted, and what is left of it before it is.

func TestPurgeIsForInstallationsThatWereLeftLongAgo(t *testing.T) {
	const day = 24 * 60
	for _, c := range []struct {
		name               string
		state              State
		watermark, updated int // minutes
		want               bool
	}{
		{"uninstalled long ago", Uninstalled, 0, 1, true},
		{"a callback that is not old enough", Uninstalled, 0, day, false},
		{"by the site's clock not old enough", Uninstalled, day, 0, false},
		{"exactly as old", Uninstalled, day, day, false},
		{"a minute older", Uninstalled, day - 1, day - 1, true},
		{"installed, and silent for ever", Installed, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := rowOf("S1:copy")
			row.State, row.Watermark, row.UpdatedAt = c.state, minute(c.watermark), minute(c.updated)
			if got := row.leftBefore(minute(day)); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestEraseIsForInstallationsThatGiveNoSignOfLife(t *testing.T) {
	const hour, day = 60, 24 * 60
	old := minute(-31 * day)
	for _, c := range []struct {
		name    string
		state   State
		change  func(row *Installation, at time.Time)
		minutes int // ago; the first at which it may be erased
	}{
		{"installed, a callback", Installed, func(row *Installation, at time.Time) { row.Watermark = at }, 30*day + 1},
		{"installed, evidence", Installed, func(row *Installation, at time.Time) { row.UpdatedAt = at }, 30*day + 1},
		{"installed, enabled", Installed, func(row *Installation, at time.Time) { row.ActivationWatermark = at }, 30*day + 1},
		{"installed, seen", Installed, func(row *Installation, at time.Time) { row.Activity.SeenAt = at }, 30*day + 1},
		{"installed, first used", Installed, func(row *Installation, at time.Time) { row.Activity.FirstUsedAt = at }, 30*day + 1},
		{"uninstalled, a callback", Uninstalled, func(row *Installation, at time.Time) { row.Watermark = at }, hour + 1},
		{"uninstalled, by our clock", Uninstalled, func(row *Installation, at time.Time) { row.UpdatedAt = at }, hour + 1},
		// Anybody can cause these, and none brings the installation back.
		{"uninstalled, seen", Uninstalled, func(row *Installation, at time.Time) { row.Activity.SeenAt = at }, 0},
		{"uninstalled, refused", Uninstalled, func(row *Installation, at time.Time) { row.Activity.RefusedAt = at }, 0},
		{"installed, refused", Installed, func(row *Installation, at time.Time) { row.Activity.RefusedAt = at }, 0},
		{"installed, suspected", Installed, func(row *Installation, at time.Time) { row.Activity.DesyncSuspectedAt = at }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := rowOf("S1:copy")
			row.State, row.Watermark, row.UpdatedAt = c.state, old, old
			c.change(row, minute(-c.minutes))
			if err := row.mayBeErased(minute(0)); err != nil {
				t.Errorf("%d minutes ago: got %v, want no error", c.minutes, err)
			}
			if c.minutes == 0 {
				return
			}
			for _, ahead := range []int{1, c.minutes + 1} { // the site's clock may be ahead of ours
				c.change(row, minute(-c.minutes+ahead))
				if err := row.mayBeErased(minute(0)); !errors.Is(err, ErrAlive) {
					t.Errorf("%d minutes ago: got %v, want ErrAlive", c.minutes-ahead, err)
				}
			}
		})
	}
}

// A logged callback would bring back what was erased, or purged.
func TestNoCallbackIsAcceptedForAsLongAsEraseWaitsForIt(t *testing.T) {
	if accepted := maxCallbackLife + claimMargin; callbackEcho <= accepted || leastPurgeAge <= accepted {
		t.Errorf("Erase waits for %v and Purge for %v, but a callback may be accepted for %v", callbackEcho, leastPurgeAge, accepted)
	}
}

// If the deletion does not follow, the row must be harmless, and found by the next Purge and the next Erase.
func TestARowIsEmptiedOfAllThatItVerifiesWith(t *testing.T) {
	row := rowOf("A:bound S1:copy S2:unreadable S3:retired")
	row.empty()
	want := rowOf("")
	want.State, want.Run, want.Proven, want.Contested = Uninstalled, Run{}, "", false
	if !reflect.DeepEqual(row, want) {
		t.Errorf("got  %+v\nwant %+v", row, want)
	}
}
