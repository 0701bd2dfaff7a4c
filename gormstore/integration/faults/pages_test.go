package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// settled is longer than Config.Settle.
const settled = 16 * time.Minute

// pageFlows are what pages of sites make of a row, and what the app asks of itself.
var pageFlows = []*flow{
	{name: "page on a cold cache", answer: 200, prepare: installed, act: load, learnt: wasSeen},
	{
		name:    "page on a cache past its time",
		answer:  200,
		stale:   true,
		prepare: installed,
		warm: func(w *world) {
			seen(w)
			w.settle()
		},
		act:    load,
		learnt: wasSeen,
	},
	{
		name:    "page after a rotation on another replica",
		answer:  200,
		prepare: installed,
		warm: func(w *world) {
			seen(w)
			w.elsewhere(w.ledger, func(app *inprocess.App) {
				w.wire.connect(app)
				w.must(offer(context.Background(), w), http.StatusNoContent)
			})
			w.wire.connect(w.app)
		},
		act:    load,
		learnt: wasSeen,
	},
	{
		name:   "page that starts a run",
		answer: 200,
		prepare: func(w *world) {
			installed(w)
			w.pass(settled)
		},
		act: load,
		learnt: func(w *world, row *core.Installation) string {
			if want := w.site.Fingerprint(); string(row.Run.Fingerprint) != want {
				return fmt.Sprintf("the run is of %q, want %q", row.Run.Fingerprint, want)
			}
			return ""
		},
	},
	{
		name:   "page that settles a run",
		answer: 200,
		prepare: func(w *world) {
			replaced(w)
			w.pass(settled)
			seen(w)
			w.pass(settled)
		},
		act: load,
		learnt: func(_ *world, row *core.Installation) string {
			if n := usable(row); n != 1 {
				return fmt.Sprintf("%d secrets are usable, want the one that the site has settled on", n)
			}
			return ""
		},
	},
	{
		name:   "page that takes a run over",
		answer: 200,
		prepare: func(w *world) {
			replaced(w)
			w.pass(settled)
			seen(w)
			w.pass(time.Minute)
		},
		act: func(ctx context.Context, w *world) int {
			return w.visitWith(ctx, w.site, w.leaked)
		},
		learnt: func(_ *world, row *core.Installation) string {
			if !row.Contested {
				return "it is not contested"
			}
			return ""
		},
	},
	{
		name:   "page of a site that was not seen for an hour",
		answer: 200,
		prepare: func(w *world) {
			installed(w)
			for range 2 {
				w.pass(settled)
				seen(w)
			}
			w.pass(61 * time.Minute)
		},
		act:    load,
		learnt: wasSeen,
	},
	{
		name:    "refused callback of a known tenant",
		answer:  401,
		prepare: installed,
		warm:    seen,
		act: func(ctx context.Context, w *world) int {
			c := w.site.Callback(fakehost.Installed)
			c.Token.Claims["aud"] = "https://other.example"
			answer, _ := c.Post(ctx)
			return answer.StatusCode
		},
		learnt: func(_ *world, row *core.Installation) string {
			if row.Activity.RefusedReason != core.ReasonAudience {
				return fmt.Sprintf("the last refusal was for %q, want %q", row.Activity.RefusedReason, core.ReasonAudience)
			}
			return ""
		},
	},
	{
		name:   "Maintain",
		answer: 200,
		direct: true,
		prepare: func(w *world) {
			replaced(w)
			for range 2 {
				w.pass(settled)
				seen(w)
			}
			w.pass(91 * 24 * time.Hour)
		},
		act: func(ctx context.Context, w *world) int {
			_, err := w.app.Maintain(ctx)
			return w.status(err)
		},
		learnt: func(_ *world, row *core.Installation) string {
			if n := len(row.Secrets); n != 1 {
				return fmt.Sprintf("%d secrets are known, want the one in use", n)
			}
			return ""
		},
	},
	{
		name:    "Revoke",
		answer:  200,
		direct:  true,
		insists: true,
		prepare: replaced,
		warm:    seen,
		act:     func(ctx context.Context, w *world) int { return w.revoke(ctx, w.app) },
		learnt: func(w *world, row *core.Installation) string {
			if holds(row, w.leaked) {
				return "the revoked secret is usable"
			}
			if status := w.visitWith(w.t.Context(), w.site, w.leaked); status != http.StatusUnauthorized {
				return fmt.Sprintf("a page signed with the revoked secret is answered %d, want 401", status)
			}
			return ""
		},
	},
	{
		name:    "Check",
		answer:  200,
		direct:  true,
		prepare: installed,
		act:     func(ctx context.Context, w *world) int { return w.status(w.app.Check(ctx)) },
		learnt:  func(*world, *core.Installation) string { return "" },
	},
}

func load(ctx context.Context, w *world) int { return w.visit(ctx, w.site) }

// status gives what the app's own code is told the status that a health check would answer with, and 0 if nobody is
// there to hear it.
func (w *world) status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, context.Canceled):
		return 0
	}
	fmt.Fprintln(w.journal, err)
	return http.StatusServiceUnavailable
}

// wasSeen says so unless the site was seen since the last attempt began.
func wasSeen(w *world, row *core.Installation) string {
	if row.Activity.SeenAt.Before(w.began.Add(-time.Hour)) {
		return fmt.Sprintf("the site was last seen %v, which is more than an hour before %v", row.Activity.SeenAt, w.began)
	}
	return ""
}

func usable(row *core.Installation) int {
	n := 0
	for _, secret := range row.Secrets {
		if secret.State == core.Usable {
			n++
		}
	}
	return n
}
