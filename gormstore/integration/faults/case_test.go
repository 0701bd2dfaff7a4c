package faults

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// play lets the call numbered at go wrong. Then the others go on: who sends the same request again, and the site, which
// tries anew. Either may come first.
func (r *rehearsal) play(t *testing.T, store core.Store, appKey string, at int, f fault, anewFirst bool) {
	w := newWorld(t, r.flow, store, appKey)
	w.look()
	r.begins(w)

	changes := w.changes.Load()
	w.ledger.open()
	w.saboteur.arm(at, f)
	status := w.attempt(t.Context())
	w.pass(time.Millisecond)
	if _, struck := w.saboteur.disarm(); struck != r.calls[at].method {
		t.Fatalf("%q went wrong, want %q: the flow is another one than in the rehearsal", struck, r.calls[at].method)
	}
	request := w.wire.recorded()
	w.look()

	if want := r.expected(at, f); status != want {
		t.Errorf("got %d, want %d (without a fault it is %d)", status, want, r.flow.answer)
	}
	if took := time.Since(w.began); took > 2*time.Second {
		t.Errorf("the answer took %v, but a call of the store has a second", took)
	}
	r.holdRows(w, at, f)
	if told, committed := int(w.changes.Load()-changes), len(w.ledger.commits(w.key(w.acting()))); told > committed {
		t.Errorf("the app was told of %d changes, but %d were committed", told, committed)
	}
	if status/100 == 2 || f.hangsUp() && r.commits(at, f) > 0 {
		w.stands(request, "after the fault")
	}
	if status/100 == 2 && r.flow.insists {
		w.hasLearnt("after the fault")
	}
	w.letsIn("after the fault")
	w.servesAnother()
	if r.calls[at].awaited {
		w.isNotAhead(request)
	}

	switch {
	case r.flow.direct:
		w.settle()
	case anewFirst && r.flow.warm == nil:
		w.pass(500 * time.Millisecond)
		r.anew(w)
		w.settle()
		if !r.flow.callback() {
			r.anew(w) // what a page shows is dropped while the recorder is busy
			w.settle()
		}
		w.look()
		w.hasLearnt("when the site tries anew")
		r.late(w, request)
	default:
		if !r.flow.callback() || r.flow.warm != nil {
			w.settle() // for the same reason, and since a store that was down is asked once a second
		}
		r.repeat(w, request)
		w.settle()
	}
	if r.flow.warm != nil {
		r.flow.warm(w)
	}
	r.anew(w)
	if r.flow.learnt != nil {
		w.settle()
		w.look()
		w.hasLearnt("in the end")
	}
	w.end()
}

// repeat sends the same request again: once to the same replica and once to another. The first may do what was not done
// yet, the second changes nothing.
func (r *rehearsal) repeat(w *world, request *message) {
	w.t.Helper()
	want := r.flow.answer
	if r.flow.unsigned && w.rows[w.key(w.site)] != nil {
		want = http.StatusUnauthorized // the tenant is known by now, and a known one signs
	}
	began := time.Now()
	status := w.again(request, w.app)
	if status != want {
		w.t.Errorf("the same request again: got %d, want %d", status, want)
	}
	if took := time.Since(began); took > time.Second {
		w.t.Errorf("the same request again took %v: something was still held", took)
	}
	w.settle()
	w.look()
	if status/100 == 2 {
		w.stands(request, "after the same request again")
	}
	w.letsIn("after the same request again")
	if r.flow.warm == nil {
		w.hasLearnt("after the same request again")
	}

	if r.flow.unsigned {
		want = http.StatusUnauthorized
	}
	w.unmoved(func(fresh *inprocess.App) {
		if status := w.again(request, fresh); status != want {
			w.t.Errorf("the same request on another replica: got %d, want %d", status, want)
		}
		w.steal(request, fresh)
	})
}

// late lets the same request arrive when the site has tried anew already.
func (r *rehearsal) late(w *world, request *message) {
	w.t.Helper()
	want := []int{r.flow.answer}
	switch {
	case r.flow.unsigned:
		want = []int{http.StatusUnauthorized}
	case r.flow.callback():
		want = append(want, http.StatusConflict)
	}
	w.unmoved(func(fresh *inprocess.App) {
		if status := w.again(request, fresh); !slices.Contains(want, status) {
			w.t.Errorf("the same request, late: got %d, want one of %v", status, want)
		}
		w.steal(request, fresh)
	})
}

// anew lets the site try again, as it does with a token of this moment.
func (r *rehearsal) anew(w *world) {
	w.t.Helper()
	began := time.Now()
	status := w.attempt(w.t.Context())
	if want := r.flow.answer; status != want {
		w.t.Errorf("the site tries anew: got %d, want %d", status, want)
	}
	if took := time.Since(began); took > time.Second {
		w.t.Errorf("the site's next attempt took %v: something was still held", took)
	}
	w.pass(time.Millisecond)
	w.look()
	if status/100 == 2 {
		w.stands(w.wire.recorded(), "when the site tries anew")
	}
	w.letsIn("when the site tries anew")
}

// steal replaces the secret in a callback that was overheard.
func (w *world) steal(request *message, fresh *inprocess.App) {
	w.t.Helper()
	if !request.claims() {
		return
	}
	if status := w.stolen(request, "a secret of the thief's own", fresh); status != http.StatusUnauthorized {
		w.t.Errorf("a stolen token with another body: got %d, want 401", status)
	}
}

// servesAnother lets another tenant install the app: whatever a fault still holds up, it is not that.
func (w *world) servesAnother() {
	w.t.Helper()
	began := time.Now()
	site := w.newSite("another tenant", false)
	if status := w.send(w.t.Context(), site.Callback(fakehost.Installed)); status != http.StatusNoContent {
		w.t.Errorf("another tenant was answered %d, want 204", status)
	}
	if took := time.Since(began); took > 0 {
		w.t.Errorf("another tenant was served after %v: something was still held", took)
	}
}
