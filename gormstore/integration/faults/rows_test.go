package faults

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// begins ends the test unless the rows are those with which the rehearsal began.
func (r *rehearsal) begins(w *world) {
	w.t.Helper()
	for key, row := range w.rows {
		if unlike := w.unlike(row, r.rows[key.ClientKey][0]); unlike != "" {
			w.t.Fatalf("this is no repetition of the rehearsal: %s", unlike)
		}
	}
}

// holdRows holds every row to that of the rehearsal after as many commits, and their number to what the fault allows.
func (r *rehearsal) holdRows(w *world, at int, f fault) {
	w.t.Helper()
	committed := 0
	for key, row := range w.rows {
		commits := len(w.ledger.commits(key))
		committed += commits
		if w.overtaken[key] && (row == nil || row.Site.EntitlementNumber != entitlement) {
			w.t.Error("what another replica wrote meanwhile is lost")
		}
		if r.isOtherwise(w, f) {
			continue
		}
		if rows := r.rows[key.ClientKey]; commits >= len(rows) {
			w.t.Errorf("%d writes were committed, but without a fault it is %d", commits, len(rows)-1)
		} else if unlike := w.unlike(row, rows[commits]); unlike != "" {
			w.t.Errorf("after %d of %d commits the row is not what they make of it: %s", commits, len(rows)-1, unlike)
		}
	}
	if want := r.commits(at, f); committed != want && !r.isOtherwise(w, f) {
		w.t.Errorf("%d writes were committed, want %d", committed, want)
	}
}

// isOtherwise reports whether the tenant was known when its turn came, though in the rehearsal it was not: then other
// rows come of it, and other writes.
func (r *rehearsal) isOtherwise(w *world, f fault) bool {
	return f == isOvertaken && r.rows[w.acting().ClientKey()][0] == nil
}

// unmoved runs f, in which old requests come to another replica. No row changes by it since the last look, but for its
// activity.
func (w *world) unmoved(f func(*inprocess.App)) {
	w.t.Helper()
	before := w.rows
	w.elsewhere(w.ledger, f)
	w.look()
	for key, row := range w.rows {
		if unlike := w.unlike(row, before[key]); unlike != "" {
			w.t.Errorf("an old request changed a row: %s", unlike)
		} else if row != nil && row.Revision != before[key].Revision {
			w.t.Error("an old request wrote a row anew")
		}
	}
}

// unlike says in which fields the row differs from another one of this flow, or "". Left out is what differs from case to
// case, and what another replica writes meanwhile.
func (w *world) unlike(got, want *core.Installation) string {
	switch {
	case got == nil && want == nil:
		return ""
	case got == nil:
		return "there is no row"
	case want == nil:
		return "there is a row"
	}
	var differences []string
	one, other := reflect.ValueOf(essence(got)), reflect.ValueOf(essence(want))
	for n := range one.NumField() {
		if got, want := one.Field(n).Interface(), other.Field(n).Interface(); !reflect.DeepEqual(got, want) {
			differences = append(differences, fmt.Sprintf("%s is %+v, want %+v", one.Type().Field(n).Name, got, want))
		}
	}
	return strings.Join(differences, "; ")
}

func essence(row *core.Installation) core.Installation {
	row = row.Clone()
	row.Key.AppKey, row.Revision, row.Activity = "", 0, core.Activity{}
	row.Site.EntitlementNumber = ""
	if len(row.Secrets) == 0 {
		row.Secrets = nil
	}
	if len(row.Applied) == 0 {
		row.Applied = nil
	}
	return *row
}
