package faults

import (
	"context"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

// patience is how long a site waits for an answer.
const patience = 10 * time.Second

// rehearsal is a flow in which nothing goes wrong: which calls it makes, and what comes of it.
type rehearsal struct {
	flow  *flow
	calls []call
	rows  map[string][]*core.Installation // by client key: before, and after each commit
}

// rehearse plays the flow once without a fault.
func rehearse(t *testing.T, f *flow, store core.Store, appKey string) *rehearsal {
	t.Helper()
	w := newWorld(t, f, store, appKey)
	r := &rehearsal{flow: f, rows: map[string][]*core.Installation{}}
	w.look()
	for key, row := range w.rows {
		r.rows[key.ClientKey] = []*core.Installation{row}
	}
	w.ledger.open()
	w.saboteur.arm(0, noFault)
	status := w.attempt(t.Context())
	w.answered.Store(true)
	w.pass(time.Millisecond)
	r.calls, _ = w.saboteur.disarm()
	request := w.wire.recorded()
	w.look()
	if status != f.answer {
		t.Errorf("without a fault: got %d, want %d", status, f.answer)
	}
	if len(r.calls) == 0 {
		t.Error("the flow does without the store: there is nothing to go wrong")
	}
	for key, row := range w.rows {
		r.rows[key.ClientKey] = append(r.rows[key.ClientKey], w.ledger.commits(key)...)
		rows := r.rows[key.ClientKey]
		if unlike := w.unlike(row, rows[len(rows)-1]); unlike != "" {
			t.Errorf("the row is not as it was written last: %s", unlike)
		}
	}
	if status/100 == 2 {
		w.stands(request, "without a fault")
	}
	w.letsIn("without a fault")
	w.hasLearnt("without a fault")
	if old := w.rows[w.key(w.site)]; w.imported != nil && old.SupersededBy != w.imported.ClientKey() {
		t.Errorf("the old installation is superseded by %q, want %q", old.SupersededBy, w.imported.ClientKey())
	}
	w.end()
	return r
}

// attempt plays the flow's own part.
func (w *world) attempt(ctx context.Context) int {
	ctx, hangUp := context.WithTimeout(ctx, patience)
	defer hangUp()
	w.began = time.Now()
	w.saboteur.hangUp = hangUp
	w.wire.forget()
	return w.flow.act(ctx, w)
}
