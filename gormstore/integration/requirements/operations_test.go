package requirements

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

func TestR11ADryRunCountsAndWritesNothing(t *testing.T) {
	play(t, func(w *world) {
		stored := []*fakehost.Site{w.site(), w.site()}
		for _, site := range stored {
			w.offers(site, appSecret1)
		}
		w.installed()
		gone := w.installed()
		w.accepts(gone.Uninstall(w.Context()))
		w.deploy(appWide(appSecret1))
		w.offers(w.site(), appSecret1)
		w.pass(100 * day)

		before := w.dump()
		report := w.report(core.ReportOptions{ActiveWithin: 365 * day})
		if report.StoredCopies != 2 || report.Needed[fingerprint(appSecret1)] != (core.Need{Live: 1}) {
			t.Errorf("got %d stored copies and %v bindings, want 2 and one", report.StoredCopies, report.Needed)
		}
		same(w, "secrets", report.BySecret, map[core.SecretClass]core.Tally{
			core.SecretAppWide: {Total: 3, OnTarget: 3}, core.SecretOwn: {Total: 1}, core.SecretAppWideOlder: {}, core.SecretNone: {},
		})
		adopt := w.moves(5, 2)(w.app.AdoptAppSecret(w.Context(), core.Batch{DryRun: true}))
		release := w.moves(5, 1)(w.app.ReleaseAppSecret(w.Context(), core.Batch{DryRun: true}))
		purge := w.moves(5, 1)(w.app.Purge(w.Context(), 90*day, core.Batch{DryRun: true}))
		if !adopt || !release || !purge || w.dump() != before {
			t.Error("a dry run has written to the database")
		}

		w.moves(5, 2)(w.app.AdoptAppSecret(w.Context(), core.Batch{}))
		w.moves(5, 0)(w.app.AdoptAppSecret(w.Context(), core.Batch{}))
		w.moves(5, 1)(w.app.Purge(w.Context(), 90*day, core.Batch{}))
		if w.row(gone) != nil || w.dump() == before {
			t.Error("what the dry run has counted was not done")
		}
	})
}

// moves fails the test unless a walk has gone through so many installations, moved so many of them, and left none out.
func (w *world) moves(seen, moved int) func(core.Moved, error) bool {
	return func(got core.Moved, err error) bool {
		w.Helper()
		want := core.Moved{Seen: seen, Moved: moved}
		if err != nil || got != want {
			w.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		return err == nil && got == want
	}
}

func TestR14CopiesOfTheAppWideSecretCanGoAndComeBack(t *testing.T) {
	play(t, func(w *world) {
		moved, apart := []*fakehost.Site{w.site(), w.site(), w.site()}, w.installed()
		for _, site := range moved {
			w.offers(site, appSecret1)
		}
		all := append(slices.Clone(moved), apart)
		serves := func(why string) {
			w.Helper()
			w.pass(cacheTTL)
			for _, site := range all {
				w.serves(site, why)
			}
		}
		holds := func(want held) {
			w.Helper()
			for _, site := range moved {
				w.holds(site, want)
			}
			w.holds(apart, own(apart.Secret(), core.Usable))
		}
		w.deploy(appWide(appSecret1))
		holds(own(appSecret1, core.Usable))
		versions := w.versions()

		w.moves(4, 3)(w.app.AdoptAppSecret(w.Context(), core.Batch{}))
		holds(binding(appSecret1, core.Usable))
		serves("the copies are gone")
		if report := w.reports(core.ReportOptions{}, 3, 4); report.StoredCopies != 0 {
			t.Errorf("got %d stored copies, want none", report.StoredCopies)
		}

		w.moves(4, 3)(w.app.ReleaseAppSecret(w.Context(), core.Batch{}))
		holds(own(appSecret1, core.Usable))
		w.deploy() // without the app-wide secret
		serves("the copies are back")
		if err := w.app.Check(w.Context()); err != nil {
			t.Errorf("Check: got %v, want nothing to be missing", err)
		}
		same(w, "versions of the secrets", w.versions(), versions)
	})
}

// versions returns SecretVersion of each installation.
func (w *world) versions() map[string]int64 {
	w.Helper()
	versions := map[string]int64{}
	for clientKey, row := range w.rows() {
		versions[clientKey] = row.SecretVersion
	}
	return versions
}

func TestR21AMoveGoesOnForWeeksAndOverRestarts(t *testing.T) {
	play(t, func(w *world) {
		const n = 10
		var sites []*fakehost.Site
		for range n {
			sites = append(sites, w.installed())
		}
		for moved, site := range sites {
			w.pass(day)
			w.offers(site, appSecret1)
			for _, site := range sites {
				w.serves(site, "some have moved, some have not")
			}
			before := w.reports(core.ReportOptions{}, moved+1, n)
			if before.MovedLastDay != 1 || before.MovedLastWeek != min(moved+1, 7) {
				t.Errorf("day %d: got %d moved within a day and %d within a week, want one a day",
					moved+1, before.MovedLastDay, before.MovedLastWeek)
			}
			w.deploy(appWide(appSecret1))
			if after := w.report(core.ReportOptions{}); !reflect.DeepEqual(after, before) {
				t.Errorf("day %d: after a restart the report is\n%+v, want\n%+v", moved+1, after, before)
			}
		}
	}, appWide(appSecret1))
	t.Run("500 installs within a minute", func(t *testing.T) {
		play(t, func(w *world) {
			n := runs.Scaled(500)
			sites := make([]*fakehost.Site, n)
			for n := range sites {
				sites[n] = w.site()
			}
			for wave := range slices.Chunk(sites, max(1, n/10)) {
				var all sync.WaitGroup
				for _, site := range wave {
					all.Go(func() {
						if answer, err := site.Callback(fakehost.Installed).Offer(appSecret1).Send(w.Context()); err != nil {
							t.Errorf("got %v (%s), want 204", err, w.why(answer))
						}
					})
				}
				all.Wait()
				w.pass(time.Minute / 10)
			}
			w.reports(core.ReportOptions{}, n, n)
		}, appWide(appSecret1))
	})
}

func TestR26ARevokedSecretVerifiesNothingOnAnyReplica(t *testing.T) {
	for name, test := range map[string]struct {
		ttl   time.Duration
		reach time.Duration // of a revocation, to other replicas
	}{
		"at once, if replicas read the store each time": {-1, 0},
		"within the time that they may remember":        {cacheTTL, cacheTTL},
	} {
		t.Run(name, func(t *testing.T) {
			configure := func(c *core.Config) { c.CacheTTL = test.ttl }
			play(t, func(w *world) {
				replicas := []*replica{w.app, w.replica(configure, appWide(appSecret1)), w.replica(configure, appWide(appSecret1))}
				site, bound := w.installed(), w.site()
				w.offers(bound, appSecret1)
				w.pass(cacheTTL)
				for _, replica := range replicas {
					w.servesOn(replica, site, "before the revocation")
					w.servesOn(replica, bound, "before the revocation")
				}
				for _, leaked := range []*fakehost.Site{site, bound} {
					if n, err := w.app.Revoke(w.Context(), fingerprint(leaked.Secret()), "found in a log"); n != 1 || err != nil {
						t.Errorf("revoked for %d installations, %v, want 1", n, err)
					}
				}
				for n, replica := range replicas {
					if n == 1 {
						w.pass(test.reach)
					}
					for _, leaked := range []*fakehost.Site{site, bound} {
						w.denies(core.ReasonRevoked, "signed with a revoked secret")(
							leaked.Get(w.on(replica), "/panel"))
						w.denies(core.ReasonRevoked, "offering a revoked secret")(
							leaked.Callback(fakehost.Installed).Offer(leaked.Secret()).Post(w.on(replica)))
					}
				}
				for _, leaked := range []*fakehost.Site{site, bound} {
					w.pass(second)
					w.accepts(leaked.Rotate(w.Context()))
					for _, replica := range replicas {
						w.servesOn(replica, leaked, "a new secret has taken the place of the revoked one")
					}
				}
			}, configure, appWide(appSecret1))
		})
	}
}

func TestR31TheVendorPlansARotationAndFollowsIt(t *testing.T) {
	play(t, func(w *world) {
		var sites []*fakehost.Site
		for range 5 {
			site := w.site()
			w.offers(site, appSecret1)
			sites = append(sites, site)
		}
		w.settles(sites...)
		w.deploy(appWide(appSecret2, appSecret1))
		for arrived := range len(sites) + 1 {
			report, err := w.app.Report(w.Context(), core.ReportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var expected []string // still
			for _, site := range sites[arrived:] {
				expected = append(expected, site.ClientKey())
			}
			var stragglers []string
			for _, straggler := range report.Stragglers {
				stragglers = append(stragglers, straggler.ClientKey)
			}
			slices.Sort(expected)
			if report.OnTarget != arrived || report.Live != len(sites) || !slices.Equal(stragglers, expected) {
				t.Errorf("got %d of %d on target, still expected %q; want %d of %d and %q",
					report.OnTarget, report.Live, stragglers, arrived, len(sites), expected)
			}
			if arrived < len(sites) {
				w.offers(sites[arrived], appSecret2)
				w.settles(sites...)
			}
		}
		need := w.report(core.ReportOptions{}).Needed
		same(w, "secrets that are needed", need, map[core.Fingerprint]core.Need{
			fingerprint(appSecret2): {Live: 5}, fingerprint(appSecret1): {},
		})
		w.deploy(appWide(appSecret2))
		for _, site := range sites {
			w.serves(site, "the old secret is not configured any more")
		}
		if err := w.app.Check(w.Context()); err != nil {
			t.Errorf("Check: got %v, want nothing to be missing", err)
		}
	}, appWide(appSecret1))
}

func TestR46SecretsOfFormerTenantsDoNotStay(t *testing.T) {
	var broken *brokenStore
	play(t, func(w *world) {
		site, later := w.installed(unsigned), w.installed(unsigned)
		w.accepts(site.Uninstall(w.Context()))
		w.pass(60 * day)
		w.accepts(later.Uninstall(w.Context()))
		w.pass(31 * day)
		w.holds(site, own(site.Secret(), core.Usable)) // for the next install, which the site signs with it

		broken.noDelete.Store(true)
		if _, err := w.app.Purge(w.Context(), 90*day, core.Batch{}); err == nil {
			t.Error("a purge that could not delete: got no error")
		}
		w.holds(site) // the secrets went first
		broken.noDelete.Store(false)

		w.moves(2, 1)(w.app.Purge(w.Context(), 90*day, core.Batch{}))
		if w.row(site) != nil {
			t.Error("the row is still there")
		}
		w.holds(later, own(later.Secret(), core.Usable))
		if !slices.ContainsFunc(w.log.lines(site.ClientKey()), func(l line) bool { return l.Message == "installation erased" }) {
			t.Error("the log does not tell what was erased")
		}
		w.denies(core.ReasonUnknownTenant, "nothing is known of the tenant")(w.asks(site, site.Secret()))
	}, symmetric, func(c *core.Config) {
		broken = &brokenStore{Store: c.Store}
		c.Store = broken
	})
}

func TestR47NoTenantIsRemovedThatIsAlive(t *testing.T) {
	play(t, func(w *world) {
		alive, idle := w.installed(), w.installed()
		long, short := w.installed(), w.installed()
		w.accepts(long.Uninstall(w.Context()))
		w.pass(60 * day)
		w.accepts(short.Uninstall(w.Context()))
		w.serves(alive, "the app is in use")
		w.pass(2 * time.Hour)

		before := w.row(alive)
		w.moves(4, 1)(w.app.Purge(w.Context(), 30*day, core.Batch{}))
		want := []string{alive.ClientKey(), idle.ClientKey(), short.ClientKey()}
		slices.Sort(want)
		if left := slices.Sorted(maps.Keys(w.rows())); !slices.Equal(left, want) {
			t.Errorf("after the purge: got %q, want %q", left, want)
		}
		for _, test := range []struct {
			site *fakehost.Site
			want error
			why  string
		}{
			{alive, core.ErrAlive, "the app is installed and in use"},
			{idle, nil, "nobody has used the app for 60 days"},
			{short, nil, "the app was uninstalled"},
			{long, core.ErrNotFound, "it was purged"},
		} {
			if err := w.app.Erase(w.Context(), test.site.ClientKey()); !errors.Is(err, test.want) {
				t.Errorf("erased: got %v, want %v: %s", err, test.want, test.why)
			}
		}
		w.unchanged(alive, before)
		w.serves(alive, "it was not erased")
		if left := w.rows(); len(left) != 1 {
			t.Errorf("got %d installations left, want one", len(left))
		}
	})
}
