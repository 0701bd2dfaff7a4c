package crowds

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

const (
	rotatingSites = 50
	rotations     = 1_000
	// perTerm rotations of a site go by before its row would be full; then the site settles.
	perTerm = 7
	// loseEvery is which rotation of a site loses its answer, so that the site goes back to the secret it had.
	loseEvery = 3
)

// A site never stops showing pages while its secret is rotated, and the page may be for another replica than the callback.
func TestPagesGoOnWhileSecretsAreRotated(t *testing.T) {
	onDatabases(t, replicated, func(t *testing.T, where string, stores [2]core.Store) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		traffic := newTraffic(ctx, t, stores, max(10, runs.Scaled(rotatingSites)))
		wanted := int64(max(perTerm*len(traffic.sites), runs.Scaled(rotations)))

		stop := traffic.start(ctx)
		defer stop() // also after a failure: nothing is logged when the test is over
		for term := 0; traffic.answered.Load() < wanted; term++ {
			if term > 20 {
				t.Fatalf("got %d rotations in %d terms, want %d", traffic.answered.Load(), term, wanted)
			}
			atOnce(len(traffic.sites), func(n int) {
				for turn := range perTerm {
					if traffic.answered.Load() < wanted {
						traffic.rotate(ctx, traffic.sites[n], turn%loseEvery == 1)
					}
				}
			})
			traffic.settle(ctx, stores[0])
		}
		eventually(ctx, t, "enough pages are loaded", func() bool { return traffic.pages.Load() >= int64(runs.Scaled(2_000)) })
		stop()

		traffic.journal.check(t, "bad_signature", "secrets_full")
		t.Logf("%d rotations of %d sites, %d without an answer that the site heard of; %d callbacks tried again; %d secrets retired; "+
			"%d pages, %d of them before the callback was answered: %d were let in, and %d refused; %d pages loaded again; refused: %s",
			traffic.answered.Load(), len(traffic.sites), traffic.back.Load(), traffic.again.Load(), traffic.retired,
			traffic.pages.Load(), traffic.early.Load()+traffic.refused.Load(), traffic.early.Load(), traffic.refused.Load(),
			traffic.late.Load(), traffic.journal.refusals())
		runs.Documented(t, "rotations under load", where, int(traffic.answered.Load()))
	})
}

// rotate rotates a site's secret after a page of it. What the app is too busy for is tried again, a few times: a row
// that has become full waits until its site has settled.
func (f *traffic) rotate(ctx context.Context, site *resident, lose bool) {
	select {
	case <-site.asked:
	case <-ctx.Done():
		f.t.Errorf("%s asks for no more pages", site.ClientKey())
		return
	}
	f.callers <- struct{}{}
	defer func() { <-f.callers }()
	for range 3 {
		if lose {
			site.LoseNextAnswer()
		}
		answer, err := site.Rotate(ctx)
		switch {
		case err == nil:
			return
		case lose && errors.Is(err, fakehost.ErrNoAnswer):
			f.back.Add(1)
			return
		case answer.StatusCode != 503:
			f.t.Errorf("a rotation of %s: got %v, want 204, or 503 while the app is busy; %s",
				site.ClientKey(), err, f.journal.why(answer))
			return
		}
		f.again.Add(1)
		breathe(ctx)
	}
}

// settle lets every site use its secret until those before it are retired, while pages go on.
func (f *traffic) settle(ctx context.Context, store core.Store) {
	f.t.Helper()
	before := f.usable(ctx, store)
	for _, proof := range []struct {
		what string
		done func(row *core.Installation, live core.Fingerprint) bool
	}{
		{"each site's first token on its secret", func(row *core.Installation, live core.Fingerprint) bool { return row.Run.Fingerprint == live }},
		{"its second, a while later", func(row *core.Installation, live core.Fingerprint) bool { return slices.Index(usable(row), live) == 0 }},
	} {
		f.setAhead(settle + time.Second)
		eventually(ctx, f.t, proof.what, func() bool {
			for _, site := range f.sites {
				if !proof.done(f.row(ctx, store, site), core.Fingerprint(site.Fingerprint())) {
					return false
				}
			}
			return true
		})
	}
	f.retired += before - f.usable(ctx, store)
}

// usable counts the usable secrets of all sites.
func (f *traffic) usable(ctx context.Context, store core.Store) int {
	f.t.Helper()
	n := 0
	for _, site := range f.sites {
		n += len(usable(f.row(ctx, store, site)))
	}
	return n
}
