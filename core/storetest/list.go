package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/hostbond/hostbond/core"
)

var listRules = []rule{
	{
		name:  "byte order",
		text:  stated("List returns the app's installations in ascending byte order of the client key."),
		check: listByteOrder,
	},
	{
		name:  "limit",
		text:  stated("List returns no more than limit installations, the first ones after the given key."),
		check: listLimit,
	},
	{
		name:  "pages",
		text:  stated("A walk that goes on after the last key of each page sees every row once, whatever the limit."),
		check: listPages,
	},
	{
		name:  "after a key that is gone",
		text:  stated("The key that List goes on after need not exist: rows that go meanwhile hide no others."),
		check: listAfterMissing,
	},
	{
		name:  "own rows only",
		text:  stated("List returns no row of another app."),
		check: listOwnRows,
	},
	{
		name:  "no more",
		text:  stated("List past the last row, or of an app without rows, returns an empty list and no error."),
		check: listEmpty,
	},
	{
		name:  "whole rows",
		text:  stated("List returns each installation as Get does: every field, the revision and the activity."),
		check: listWhole,
	},
}

// disordered holds client keys of which each collation but the binary one misplaces some. UTF-16 has the one beyond
// the basic plane before U+FFFD.
var disordered = []string{
	"b", "\U0001F600", "B", "é", "a", "Z", "\ufffd", "a b", "e\u0301", "10", "9", "ab", "a-b", "_", "A", "z", "a ",
}

func listByteOrder(t *trial) {
	t.putAll(disordered...)
	t.wantListed(t.list(t.app, "", 100), sorted(disordered)...)
}

func listLimit(t *trial) {
	t.putAll("a", "b", "c", "d")
	t.wantListed(t.list(t.app, "", 1), "a")
	t.wantListed(t.list(t.app, "", 3), "a", "b", "c")
	t.wantListed(t.list(t.app, "", 4), "a", "b", "c", "d")
	t.wantListed(t.list(t.app, "", 5), "a", "b", "c", "d")
	t.wantListed(t.list(t.app, "a", 2), "b", "c")
}

func listPages(t *trial) {
	t.putAll(disordered...)
	for limit := 1; limit <= len(disordered)+1; limit++ {
		var seen []string
		t.walk(limit, func(i *core.Installation) { seen = append(seen, i.Key.ClientKey) })
		if want := sorted(disordered); !slices.Equal(seen, want) {
			t.Errorf("in pages of %d: got client keys %+q, want %+q", limit, seen, want)
		}
	}
}

// walk visits the app's installations in pages. It fails rather than walk in circles.
func (t *trial) walk(limit int, visit func(*core.Installation)) {
	t.Helper()
	after := ""
	for {
		page := t.list(t.app, after, limit)
		if len(page) == 0 {
			return
		}
		for _, i := range page {
			if i.Key.ClientKey <= after {
				t.Fatalf("List(after %+q, limit %d): got %+q, want greater keys in ascending order", after, limit, i.Key.ClientKey)
			}
			after = i.Key.ClientKey
			visit(i)
		}
	}
}

func listAfterMissing(t *trial) {
	t.putAll("a", "b", "c", "d", "e", "f")
	t.wantListed(t.list(t.app, "aa", 2), "b", "c")

	// Each page is deleted once it was visited, as if its rows had gone while the caller was at work on them.
	var seen []string
	t.walk(2, func(i *core.Installation) {
		seen = append(seen, i.Key.ClientKey)
		t.delete(i)
	})
	if want := []string{"a", "b", "c", "d", "e", "f"}; !slices.Equal(seen, want) {
		t.Errorf("a walk that deletes what it visits: got client keys %+q, want %+q", seen, want)
	}
}

func listOwnRows(t *trial) {
	t.putAll("b")
	for n, app := range []string{t.app + "x", t.app[:len(t.app)-1], "a" + t.app} {
		other := t.installation(fmt.Sprint("row ", n))
		other.Key.AppKey = app
		t.put(other)
	}
	t.wantListed(t.list(t.app, "", 10), "b")
}

func listEmpty(t *trial) {
	t.wantListed(t.list(t.app, "", 10))
	t.putAll("a", "b")
	t.wantListed(t.list(t.app, "b", 10))
	t.wantListed(t.list(t.app, "c", 10))
}

func listWhole(t *trial) {
	var want []*core.Installation
	for n, clientKey := range []string{"a", "b"} {
		row := t.put(full(t.key(clientKey), 1+n, time.UTC))
		row.Activity = core.Activity{SeenAt: noon.Add(time.Duration(n) * time.Hour)}
		t.touch(row.Key, row.Activity)
		want = append(want, row)
	}
	page := t.list(t.app, "", 10)
	t.wantListed(page, "a", "b")
	for n := range min(len(page), len(want)) {
		t.wantEqual(fmt.Sprintf("the listed installation %+q", want[n].Key), page[n], want[n])
	}
}
