package core_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// What happens to an installation at the very moment at which it is deleted.

// In a bubble: the site "site" is installed, with the secret first, and was never heard of.

func TestAnErasedTenantIsServedNowhereAfterTheTTLAndHereAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		here, there := replica(), replica()
		store.change(t, func(row *core.Installation) { row.LastOffer = time.Now().UTC().Truncate(time.Second) }) // no evidence yet
		pass(31 * day)
		for _, app := range []*core.App{here, there} {
			want(t, authenticate(t, app, "site", "a guess of a stranger"), core.ReasonBadSignature) // known, and nobody is seen
		}
		if err := here.Erase(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		want(t, authenticate(t, here, "site", first), core.ReasonUnknownTenant)
		pass(5 * time.Second)
		want(t, authenticate(t, there, "site", first), core.ReasonUnknownTenant)
		for _, app := range []*core.App{here, there} {
			store.install(t, "site", second)
			want(t, authenticate(t, app, "site", second), "")
			want(t, authenticate(t, app, "site", first), core.ReasonBadSignature)
			store.change(t, func(row *core.Installation) { row.State = core.Uninstalled })
			pass(31 * day)
			if m, err := app.Purge(t.Context(), 30*day, core.Batch{}); err != nil || m.Moved != 1 {
				t.Fatalf("got %+v, %v, want it purged", m, err)
			}
		}
	})
}

func TestAReadThatIsUnderWayBringsNoErasedTenantBack(t *testing.T) {
	for _, ttl := range []time.Duration{5 * time.Second, -1} {
		inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
			late := &lateReader{Store: store}
			app := replica(func(c *core.Config) { c.Store, c.CacheTTL = late, ttl })
			pass(31 * day)
			late.late.Store(int64(900 * time.Millisecond))
			var under sync.WaitGroup
			under.Go(func() { want(t, authenticate(t, app, "site", first), "") }) // as it was when it came
			synctest.Wait()
			late.late.Store(0)
			pass(time.Millisecond)
			if err := app.Erase(t.Context(), "site"); err != nil {
				t.Fatal(err)
			}
			var after sync.WaitGroup
			after.Go(func() { want(t, authenticate(t, app, "site", first), core.ReasonUnknownTenant) })
			under.Wait()
			after.Wait()
			want(t, authenticate(t, app, "site", first), core.ReasonUnknownTenant)
		})
	}
}

func TestATenantThatIsInstalledAgainAtOnceIsServedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		tapped := &tappedStore{Store: store, tap: untapped}
		app := replica(func(c *core.Config) { c.Store = tapped })
		pass(31 * day)
		tapped.tap = func(call string, made bool) error {
			if call == "Delete" && made { // before this replica knows that it is done
				tapped.tap = untapped
				store.install(t, "site", second)
				want(t, authenticate(t, app, "site", second), "")
			}
			return nil
		}
		if err := app.Erase(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		want(t, authenticate(t, app, "site", second), "")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("its request waited for %v", waited)
		}
	})
}

// What a request has shown is written later, perhaps to a row that is not there any more, or to one that is new.
func TestWhatIsRecordedOfATenantThatWasErasedIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		log := new(journal)
		app := replica()
		tapped := &tappedStore{Store: store}
		held := make(chan struct{})
		tapped.tap = func(call string, made bool) error {
			if !made && (call == "Touch" || call == "Put") {
				<-held
			}
			return nil
		}
		busy := replica(func(c *core.Config) { c.Store, c.Logger = tapped, slog.New(log) })
		pass(31 * day)
		want(t, authenticate(t, busy, "site", first), "") // evidence, seen, first used
		synctest.Wait()
		if err := app.Erase(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		close(held)
		quiet(t, busy)
		if _, err := store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "site"}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if strings.Contains(log.String(), "could not be recorded") {
			t.Errorf("that there is nothing to record it in is no trouble, but the log says\n%s", log)
		}
	})
}

func TestEvidenceOfAnEarlierTenantDoesNotReachTheOneThatCameAfterIt(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		tapped := &tappedStore{Store: store}
		held := make(chan struct{})
		tapped.tap = before("Put", func() { <-held })
		busy := replica(func(c *core.Config) { c.Store = tapped })
		pass(31 * day)
		want(t, authenticate(t, busy, "site", first), "")
		synctest.Wait()
		if err := app.Erase(t.Context(), "site"); err != nil {
			t.Fatal(err)
		}
		store.install(t, "site", second)
		close(held)
		quiet(t, busy)
		row, err := store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: "site"})
		if err != nil || row.Run != (core.Run{}) || len(row.Secrets) != 1 || row.Newest() != fingerprintOf(t, second) {
			t.Errorf("got %+v, %v, want the new row as it was installed", row, err)
		}
	})
}

// comeBack installs what was uninstalled, as a callback on another replica does.
func (f *cohort) comeBack(t *testing.T) {
	t.Helper()
	row := f.stored(t)[1]
	own := secretOf(t, second)
	row.State, row.Watermark, row.UpdatedAt = core.Installed, f.clock.Now(), f.clock.Now()
	row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: own.Fingerprint(), State: core.Usable, Value: own})
	f.change(t, row)
}

func TestWhoComesBackWhileItIsDeletedIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Put", "Delete"} {
		t.Run("before the "+at, func(t *testing.T) {
			setup := func() *cohort {
				f := walks["purge"].fleet(t, 2)
				f.store.tap = before(at, func() {
					f.store.tap = untapped
					f.comeBack(t)
				})
				return f
			}
			wantThere := func(f *cohort) {
				t.Helper()
				rows := f.rows(t)
				if len(rows) != 2 || rows[1].State != core.Installed || rows[1].Newest() != fingerprintOf(t, second) {
					t.Errorf("got %+v, want the row as it came back", rows)
				}
			}
			purged := setup()
			m, err := purged.app.Purge(t.Context(), 30*day, core.Batch{})
			wantMoved(t, m, err, core.Moved{Seen: 2, Skipped: 1})
			wantThere(purged)

			erased := setup()
			if err := erased.app.Erase(t.Context(), "site-0001"); !errors.Is(err, core.ErrAlive) {
				t.Errorf("erase: got %v, want ErrAlive", err)
			}
			wantThere(erased)
		})
	}
}

func TestARowThatSomebodyElseDeletesFirstIsGoneAndCountsOnce(t *testing.T) {
	t.Parallel()
	deletedFirst := func() *cohort {
		f := walks["purge"].fleet(t, 2)
		f.store.tap = before("Delete", func() {
			f.store.tap = untapped
			row := f.stored(t)[1]
			if err := f.store.Delete(t.Context(), row.Key, row.Revision); err != nil {
				t.Error(err)
			}
		})
		return f
	}
	m, err := deletedFirst().app.Purge(t.Context(), 30*day, core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 2})
	if err := deletedFirst().app.Erase(t.Context(), "site-0001"); err != nil {
		t.Errorf("erase: got %v, want no error", err)
	}
}

func TestARowThatOthersKeepChangingIsNotErased(t *testing.T) {
	t.Parallel()
	f := walks["purge"].fleet(t, 2)
	f.store.tap = before("Put", func() { f.change(t, f.stored(t)[1]) })
	if err := f.app.Erase(t.Context(), "site-0001"); !errors.Is(err, core.ErrConflict) || len(f.rows(t)) != 2 {
		t.Errorf("got %v and %d rows, want ErrConflict and two", err, len(f.rows(t)))
	}
}

// Sites uninstall, and install again as soon as they like, while two replicas purge.
func TestASiteThatInstallsAgainWhileItIsPurgedIsThereAfterwards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const sites = 40
	all := make([]*fakehost.Site, sites)
	for n := range all {
		all[n] = b.newSite(t, fakehost.Config{ClientKey: fmt.Sprintf("site-%02d", n)})
		if _, err := all[n].Install(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := all[n].Uninstall(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.clock.advance(31 * day)
	other := newApp(t, core.Config{
		AppKey: appKey, BaseURL: b.server.URL, Store: b.store, Now: b.clock.Now, Logger: slog.New(b.log),
	})
	var work sync.WaitGroup
	var purged atomic.Int64
	for _, app := range []*core.App{b.app, other} {
		work.Go(func() {
			for range 5 {
				m, err := app.Purge(t.Context(), 30*day, core.Batch{})
				if err != nil {
					t.Error(err)
				}
				purged.Add(int64(m.Moved))
			}
		})
	}
	for n := sites - 1; n >= 0; n-- { // they meet the purge half way
		work.Go(func() {
			if answer, err := all[n].Install(t.Context()); err != nil {
				t.Errorf("site %d: got %d, %v", n, answer.StatusCode, err)
			}
			if answer, err := all[n].Get(t.Context(), "/panel"); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("site %d, its first page: got %d, %v, want 200", n, answer.StatusCode, err)
			}
		})
	}
	work.Wait()
	for n, site := range all {
		row := b.rowOf(t, site)
		if row == nil || row.State != core.Installed || row.Newest() != core.Fingerprint(site.Fingerprint()) {
			t.Errorf("site %d: got %+v, want it installed, with the secret that it has", n, row)
		}
	}
	t.Logf("%d were purged before they came back", purged.Load())
}
