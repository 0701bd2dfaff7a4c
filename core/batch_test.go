package core_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

// walks are the walks over installations, each with a fleet of which it moves two thirds.
var walks = map[string]struct {
	fleet func(*testing.T, int) *cohort
	do    func(context.Context, *core.App, core.Batch) (core.Moved, error)
}{
	"adopt": {
		func(t *testing.T, n int) *cohort { return newCohort(t, n, false) },
		func(ctx context.Context, app *core.App, b core.Batch) (core.Moved, error) {
			return app.AdoptAppSecret(ctx, b)
		},
	},
	"release": {
		func(t *testing.T, n int) *cohort { return newCohort(t, n, true) },
		func(ctx context.Context, app *core.App, b core.Batch) (core.Moved, error) {
			return app.ReleaseAppSecret(ctx, b)
		},
	},
	"purge": {
		func(t *testing.T, n int) *cohort {
			f := newCohort(t, n, false)
			for i, row := range f.stored(t) {
				if i%3 > 0 {
					row.State = core.Uninstalled
					f.change(t, row)
				}
			}
			return f
		},
		func(ctx context.Context, app *core.App, b core.Batch) (core.Moved, error) {
			return app.Purge(ctx, 30*24*time.Hour, b)
		},
	},
}

func TestADryRunWritesNothingAndCountsTheSame(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			f := walk.fleet(t, 10)
			before := f.rows(t)
			var writes []string
			f.store.tap = func(call string, made bool) error {
				if !made && call != "List" && call != "Get" && call != "Revocations" {
					writes = append(writes, call)
				}
				return nil
			}
			dry, err := walk.do(t.Context(), f.app, core.Batch{DryRun: true})
			if err != nil || len(writes) > 0 {
				t.Errorf("the dry run: got %v, and the writes %v", err, writes)
			}
			f.wantRows(t, "after the dry run", before)
			real, err := walk.do(t.Context(), f.app, core.Batch{})
			wantMoved(t, real, err, dry)
			if real.Moved != 6 || len(writes) < 6 {
				t.Errorf("got %+v and %d writes, want 6 moved", real, len(writes))
			}

			writes = nil
			again, err := walk.do(t.Context(), f.app, core.Batch{})
			if err != nil || again.Moved != 0 || len(writes) > 0 {
				t.Errorf("again: got %+v, %v and the writes %v, want nothing to do", again, err, writes)
			}
		})
	}
}

func TestAWalkIsDoneInBatches(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			whole, parts := walk.fleet(t, 30), walk.fleet(t, 30)
			want, err := walk.do(t.Context(), whole.app, core.Batch{})
			if err != nil || want.Next != "" {
				t.Fatalf("got %+v, %v, want all of it", want, err)
			}
			var sum core.Moved
			for b := (core.Batch{Limit: 7}); ; b.After = sum.Next {
				m, err := walk.do(t.Context(), parts.app, b)
				if err != nil || m.Seen > 7 || m.Seen < 7 && m.Next != "" {
					t.Fatalf("after %q: got %+v, %v", b.After, m, err)
				}
				sum = core.Moved{Seen: sum.Seen + m.Seen, Moved: sum.Moved + m.Moved, Next: m.Next}
				if sum.Next == "" {
					break
				}
			}
			wantMoved(t, sum, nil, want)
			parts.wantRows(t, "after all batches", whole.rows(t))
		})
	}
}

func TestProgressIsToldAfterEachPage(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 450, false)
	var told []core.Moved
	m, err := f.app.AdoptAppSecret(t.Context(), core.Batch{Progress: func(m core.Moved) { told = append(told, m) }})
	wantMoved(t, m, err, core.Moved{Seen: 450, Moved: 300})
	want := []core.Moved{
		{Seen: 200, Moved: 133, Next: "site-0199"},
		{Seen: 400, Moved: 266, Next: "site-0399"},
		{Seen: 450, Moved: 300, Next: "site-0449"},
	}
	if !slices.Equal(told, want) {
		t.Errorf("got %+v, want %+v", told, want)
	}

	ctx, stop := context.WithCancel(t.Context())
	m, err = f.app.ReleaseAppSecret(ctx, core.Batch{Progress: func(core.Moved) { stop() }})
	if !errors.Is(err, context.Canceled) || m != want[0] {
		t.Errorf("stopped after the first page: got %+v, %v, want %+v", m, err, want[0])
	}
}

// The end must be the same wherever a walk was stopped, and whether it then goes on or begins anew.
func TestAWalkThatIsCancelledAnywhereEndsTheSameWhenItIsCalledAgain(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			reference := walk.fleet(t, 6)
			if _, err := walk.do(t.Context(), reference.app, core.Batch{}); err != nil {
				t.Fatal(err)
			}
			end := reference.rows(t)
			stops := 0
			for n, stopped := 1, true; stopped; n++ {
				stopped = false
				f := walk.fleet(t, 6)
				ctx, cancel := context.WithCancel(t.Context())
				calls, last := 0, ""
				f.store.tap = func(call string, made bool) error {
					if calls++; calls == n {
						stopped, last = true, fmt.Sprintf("%s, made %t", call, made)
						cancel()
						return ctx.Err()
					}
					return nil
				}
				m, err := walk.do(ctx, f.app, core.Batch{})
				f.store.tap = untapped
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("stopped at call %d, %s: got %v, want the context's error", n, last, err)
				}
				b := core.Batch{After: m.Next}
				if n%4 < 2 { // calls come in pairs: before and after
					b.After = ""
				}
				if _, err := walk.do(t.Context(), f.app, b); err != nil {
					t.Errorf("after the stop at call %d, %s: %v", n, last, err)
				}
				f.wantRows(t, fmt.Sprintf("after the stop at call %d, %s", n, last), end)
				cancel()
				stops++
			}
			if stops < 12 {
				t.Errorf("it was stopped at %d moments, want one before and after each call", stops)
			}
		})
	}
}

func TestAWalkEndsWithAnErrorThatNamesTheInstallationAndCanGoOnAfterIt(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			f := walk.fleet(t, 9)
			const sick = "site-0004"
			f.app = newApp(t, core.Config{
				AppKey: appKey, BaseURL: "https://app.example.com", Store: &poisoned{f.store, sick}, Now: f.clock.Now,
				Logger:     slog.New(slog.DiscardHandler),
				AppSecrets: core.StaticSecrets{secretOf(t, appWide)},
			})
			m, err := walk.do(t.Context(), f.app, core.Batch{})
			want := core.Moved{Seen: 4, Moved: 2, Next: "site-0003"}
			if !errors.Is(err, errDown) || !strings.Contains(err.Error(), sick) || m != want {
				t.Errorf("got %+v, %v, want %+v and an error that names %s", m, err, want, sick)
			}
			m, err = walk.do(t.Context(), f.app, core.Batch{After: sick})
			wantMoved(t, m, err, core.Moved{Seen: 4, Moved: 3})
		})
	}
}

func TestARowThatSomebodyChangesMeanwhileIsDecidedAnew(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 2, false)
	own := secretOf(t, second)
	f.store.tap = before("Put", func() { // a callback brings an own secret
		f.store.tap = untapped
		row := f.stored(t)[1]
		row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: own.Fingerprint(), State: core.Usable, Value: own})
		row.SecretVersion++
		f.change(t, row)
	})
	m, err := f.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 2, Moved: 1})
	row := f.rows(t)[1]
	if len(row.Secrets) != 2 || !row.Secrets[0].Bound || row.Newest() != own.Fingerprint() || row.SecretVersion != 2 {
		t.Errorf("got %+v, want a binding, and the own secret that came meanwhile", row)
	}
}

func TestARowThatOthersKeepChangingIsSkippedAndFoundAgain(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 6, false)
	f.store.tap = before("Put", func() { f.change(t, f.stored(t)[1]) })
	m, err := f.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 6, Moved: 3, Skipped: 1})
	f.store.tap = untapped
	m, err = f.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 6, Moved: 1})
}

func TestARowThatIsDeletedMeanwhileIsNotBroughtBack(t *testing.T) {
	t.Parallel()
	f := newCohort(t, 2, false)
	f.store.tap = before("Put", func() {
		row := f.stored(t)[1]
		if err := f.store.Store.Delete(t.Context(), row.Key, row.Revision); err != nil {
			t.Error(err)
		}
	})
	m, err := f.app.AdoptAppSecret(t.Context(), core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 2})
	if rows := f.rows(t); len(rows) != 1 {
		t.Errorf("got %d rows, want the other one", len(rows))
	}
}

func TestReplicasMayWalkAtTheSameTime(t *testing.T) {
	t.Parallel()
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			reference := walk.fleet(t, 300)
			if _, err := walk.do(t.Context(), reference.app, core.Batch{}); err != nil {
				t.Fatal(err)
			}
			f := walk.fleet(t, 300)
			var replicas sync.WaitGroup
			var moved, skipped atomic.Int64
			for range 4 {
				app := f.replica(t)
				replicas.Go(func() {
					m, err := walk.do(t.Context(), app, core.Batch{})
					if err != nil || m.Next != "" {
						t.Errorf("got %+v, %v, want all of it", m, err)
					}
					moved.Add(int64(m.Moved))
					skipped.Add(int64(m.Skipped))
				})
			}
			replicas.Wait()
			// A purge leaves alone what two have met at the same moment; the others go on until it is done.
			m, err := walk.do(t.Context(), f.app, core.Batch{})
			if sum := moved.Load() + int64(m.Moved); err != nil || sum != 200 || name != "purge" && m.Moved > 0 {
				t.Errorf("they have moved %d and skipped %d, and the next one %d, %v; want each of 200 once",
					moved.Load(), skipped.Load(), m.Moved, err)
			}
			f.wantRows(t, "after all", reference.rows(t))
		})
	}
}
