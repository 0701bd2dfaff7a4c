package requirements

import (
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

// What Atlassian did with all sites between 2018 and 2021, and what it feared.
func TestAFleetMovesToOneSecretAndBackAndSurvivesALeak(t *testing.T) {
	for name, test := range map[string]struct {
		open  func(*testing.T) func() core.Store
		sites int
	}{
		"in memory": {inMemory, runs.Scaled(1000)},
		"on SQLite": {onSQLite, 2 * groups},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playOn(t, test.open, func(w *world) { newFleet(w, test.sites).lives() })
		})
	}
}

func (f *fleet) lives() {
	f.beginsWithSecretsOfItsOwn()
	f.movesToOneSecret()
	f.swapsIt()
	f.movesBack()
	f.survivesALeak()
}

func (f *fleet) beginsWithSecretsOfItsOwn() {
	for n, m := range f.members {
		f.calls(m, n%2, m.Callback(fakehost.Installed))
	}
	f.settle("signed with the secret of the install")
	f.pass(40 * day)
	f.visits("40 days later")
	f.reports(core.TargetOwn, "before anybody moves")
}

func (f *fleet) movesToOneSecret() {
	for n := range f.replicas {
		f.configures(n, appSecret1)
		f.visits("while the first app-wide secret comes to one replica after the other")
	}
	for _, m := range f.in(anyOf(leaver)) {
		f.accepts(m.Uninstall(f.Context()))
	}
	f.reports(core.TargetAppWide, "the app-wide secret is configured, and some sites are gone")

	f.wave(f.in(exceptFor(unused, sandbox)), func(m *member, n int) {
		f.hindered(m, n, m.Callback(fakehost.Installed).Offer(appSecret1))
	})
	f.settle("on the app-wide secret, unless something came between")
	f.reports(core.TargetAppWide, "four of five have moved")

	f.wave(f.in(anyOf(unreachable, deaf, sandbox)), func(m *member, n int) {
		f.calls(m, n, m.Callback(fakehost.Installed).Offer(appSecret1))
	})
	for n, m := range f.members {
		if m.group == leaver && n/groups%2 == 0 {
			f.calls(m, n%2, m.Callback(fakehost.Installed).Offer(appSecret1))
		}
	}
	f.settle("on the app-wide secret")
	f.reports(core.TargetAppWide, "the others have followed, and some are back")
}

// The vendor has asked for another secret. Sites get it in the middle of a deployment.
func (f *fleet) swapsIt() {
	f.configures(0, appSecret2, appSecret1)
	f.visits("one replica knows both app-wide secrets, the other the first one alone")
	f.wave(f.in(anyOf(early)), func(m *member, _ int) {
		f.calls(m, 1, m.Callback(fakehost.Installed).Offer(appSecret2))
	})
	f.visits("some sites are on a secret that one replica does not know as app-wide")
	f.configures(1, appSecret2, appSecret1)
	f.settle("both replicas know both")
	f.reports(core.TargetAppWide, "some have moved to the second app-wide secret")

	adopted := f.in(anyOf(early))
	f.moves(len(f.members), len(adopted))(f.app.AdoptAppSecret(f.Context(), core.Batch{}))
	for _, m := range adopted {
		m.offers[0].bound = true
	}
	f.visits("no copy of the app-wide secret is stored any more")
	f.wave(f.in(exceptFor(unused, early)), func(m *member, n int) {
		f.calls(m, n, m.Callback(fakehost.Installed).Offer(appSecret2))
	})
	f.settle("on the second app-wide secret")
	f.reports(core.TargetAppWide, "all that are used have moved to the second app-wide secret")
	for n := range f.replicas {
		f.configures(n, appSecret2)
		f.visits("while the first app-wide secret leaves one replica after the other")
	}
	if err := f.app.Check(f.Context()); err != nil {
		f.Errorf("Check: got %v, want nothing to be missing", err)
	}
	f.reports(core.TargetAppWide, "the first app-wide secret is gone")
}

// Every site gets a secret of its own again. By now Atlassian signs installs.
func (f *fleet) movesBack() {
	for _, m := range f.in(anyOf(abandoned)) {
		m.idle = true
	}
	f.pass(40 * day)
	f.visits("40 days later")
	f.wave(f.in(exceptFor(unused, abandoned, late, halfway)), func(m *member, n int) {
		f.hindered(m, n, signs(m.Callback(fakehost.Installed)))
	})
	f.settle("on a secret of the site's own, unless something came between")
	f.reports(core.TargetOwn, "most have a secret of their own again")
}

func (f *fleet) survivesALeak() {
	f.wave(f.in(anyOf(halfway)), func(m *member, n int) { f.calls(m, n, signs(m.Callback(fakehost.Installed))) })
	f.pass(settle)
	f.visits("one page of sites that have just moved")
	for _, m := range f.in(anyOf(halfway)) {
		m.shown = true
	}
	for n, m := range f.in(anyOf(late)) {
		f.calls(m, n%2, signs(m.Callback(fakehost.Installed)))
	}
	standings := map[group]core.Standing{
		abandoned: core.StandingOnlyKey, unreachable: core.StandingOnlyKey,
		deaf: core.StandingInUse, late: core.StandingUnsettled, halfway: core.StandingReplaced,
	}
	exposed := map[*fakehost.Site]core.Standing{}
	had := 0
	for _, m := range f.members {
		if standing, ok := standings[m.group]; ok {
			exposed[m.Site] = standing
		}
		if m.secrets[appSecret2] {
			had++
		}
	}
	f.app = f.replicas[0]
	f.exposes(appSecret2, exposed)

	f.visits("before the revocation")
	if n, err := f.app.Revoke(f.Context(), fingerprint(appSecret2), "found in a public repository"); n != had || err != nil {
		f.Errorf("revoked for %d installations, %v, want the %d that were ever on it", n, err, had)
	}
	lockedOut := f.in(anyOf(abandoned, unreachable, deaf))
	stops := func(replica *replica, when string) {
		f.Helper()
		for _, m := range lockedOut {
			f.denies(core.ReasonRevoked, when)(m.Get(f.on(replica), "/panel"))
		}
	}
	stops(f.replicas[0], "at once where it was revoked")
	f.pass(cacheTTL)
	stops(f.replicas[1], "within the CacheTTL elsewhere")
	for _, m := range f.in(exceptFor(unused, abandoned, unreachable, deaf)) {
		f.visit(m, 0, "on a secret of the site's own, which has not leaked")
		f.visit(m, 1, "on a secret of the site's own, which has not leaked")
	}
	f.isRevoked(appSecret2, lockedOut)
	f.reports(core.TargetOwn, "the app-wide secret has leaked and is revoked")

	for n, m := range lockedOut {
		f.calls(m, n%2, signs(m.Callback(fakehost.Installed)))
		f.visit(m, 0, "the first page with a secret that has not leaked")
		f.visit(m, 1, "the first page with a secret that has not leaked")
		m.idle = false
	}
	f.settle("all are on secrets of their own")
	f.exposes(appSecret2, nil)
	f.reports(core.TargetOwn, "those that were on the leaked secret have new ones")
	for _, m := range lockedOut {
		f.denies(core.ReasonRevoked, "a leaked secret that is offered again")(
			signs(m.Callback(fakehost.Installed).Offer(appSecret2)).Post(f.Context()))
	}
	f.visits("nothing has changed for them")
}

// isRevoked notes that a secret is gone, and with it what the sites that are on it have shown.
func (f *fleet) isRevoked(secret string, on []*member) {
	f.revoked = secret
	for _, m := range f.members {
		var left []offer
		for _, o := range m.offers {
			if o.secret != secret {
				left = append(left, o)
			}
		}
		m.offers = left
	}
	for _, m := range on {
		m.shown = false
	}
}
