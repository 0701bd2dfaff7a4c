package requirements

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// group is what happens to a site. A fleet has as many of each.
type group int

const (
	leaver      group = iota // uninstalls the app before anybody moves; one of two comes back
	unused                   // has the app, and nobody who uses it
	sandbox                  // is for development
	unreachable              // calls while the database of the app is down
	deaf                     // does not hear the answer to its call
	early                    // is on the second app-wide secret before all replicas know it
	abandoned                // is used by nobody any more when the app-wide secret goes
	late                     // gets rid of the app-wide secret last
	halfway                  // as late, and one page of it was seen since
	ordinary                 // and all above do as they are told
)

// groups is their number.
const groups = 25

// fleet is all sites that have ever had the app, which runs on two replicas.
type fleet struct {
	*world
	members  []*member
	replicas [2]*replica
	stores   [2]*brokenStore
	known    [2][]string // app-wide secrets that are configured, the newest first
	revoked  string
}

// member is a site, and what is known there of its life with the app.
type member struct {
	*fakehost.Site
	group group
	idle  bool      // nobody uses it
	alive time.Time // when a page or a callback was answered yes last

	// offers are those that the app may go by: the last one, and all since the one that the site has settled on.
	offers  []offer
	secrets map[string]bool // that were ever offered
	shown   bool            // by pages since the last offer, which secret the site is on
	failed  bool            // its last callback was refused
}

// offer is a secret that the app has got.
type offer struct {
	secret string
	at     time.Time
	bound  bool // the app knew it as an app-wide one
}

// newFleet returns a fleet of n sites, with an app that knows no app-wide secret.
func newFleet(w *world, n int) *fleet {
	f := &fleet{world: w}
	f.configures(0)
	f.configures(1)
	for n := range n {
		m := &member{group: group(n % groups), secrets: map[string]bool{}}
		m.idle = m.group == unused
		m.Site = w.site(unsigned, func(c *fakehost.Config) {
			if m.group == sandbox {
				c.BaseURL = fmt.Sprintf("https://customer-sandbox-%d.atlassian.net", n)
			}
		})
		f.members = append(f.members, m)
	}
	return f
}

// configures deploys a replica with these app-wide secrets. Reports come from the one that was deployed last.
func (f *fleet) configures(n int, secrets ...string) {
	f.Helper()
	if f.replicas[n] != nil {
		f.replicas[n].stop()
	}
	f.known[n] = secrets
	f.replicas[n] = f.replica(symmetric, appWide(secrets...), func(c *core.Config) {
		f.stores[n] = &brokenStore{Store: c.Store}
		c.Store = f.stores[n]
	})
	f.app = f.replicas[n]
}

// in returns the members of these groups that have the app.
func (f *fleet) in(fits func(group) bool) (list []*member) {
	for _, m := range f.members {
		if m.Installed() && fits(m.group) {
			list = append(list, m)
		}
	}
	return list
}

// anyOf returns what fits these groups, exceptFor what fits all others.
func anyOf(list ...group) func(group) bool {
	return func(g group) bool { return slices.Contains(list, g) }
}

func exceptFor(list ...group) func(group) bool {
	return func(g group) bool { return !slices.Contains(list, g) }
}

// signs has Atlassian sign the callback, and not the site.
func signs(callback *fakehost.Callback) *fakehost.Callback {
	id, key := inprocess.Keys.Current()
	callback.Token.Header = map[string]any{"alg": "RS256", "typ": "JWT", "kid": id}
	callback.Token.Claims["aud"] = inprocess.BaseURL
	callback.Token.Key = key
	return callback
}

// calls has a site send an installed callback to a replica. It fails the test if the site is refused, but for what it must
// expect while the database is down.
func (f *fleet) calls(m *member, n int, callback *fakehost.Callback) {
	f.Helper()
	made := offer{callback.Secret, time.Now(), slices.Contains(f.known[n], callback.Secret)}
	answer, err := callback.Send(f.on(f.replicas[n]))
	switch {
	case err == nil || errors.Is(err, fakehost.ErrNoAnswer): // in both cases the app has it
		m.offers = append(slices.DeleteFunc(m.offers, func(o offer) bool { return o.secret == made.secret }), made)
		m.secrets[made.secret] = true
		m.alive, m.shown, m.failed = made.at, false, false
	case f.stores[n].noPut.Load() && answer.StatusCode == http.StatusServiceUnavailable && f.why(answer) == core.ReasonStore:
		m.failed = true
	default:
		f.Errorf("a callback got status %d, %v (%s), want 204", answer.StatusCode, err, f.why(answer))
	}
	f.pass(second)
}

// hindered has a site send a callback, and puts in its way what its group stands for.
func (f *fleet) hindered(m *member, n int, callback *fakehost.Callback) {
	f.Helper()
	switch m.group {
	case unreachable:
		f.stores[n].noPut.Store(true)
		defer f.stores[n].noPut.Store(false)
	case deaf:
		m.LoseNextAnswer()
	}
	f.calls(m, n, callback)
}

// wave has the members send a callback one after the other, to the replicas in turn. In between, the site that has called
// and the next one are visited on both.
func (f *fleet) wave(members []*member, call func(m *member, n int)) {
	f.Helper()
	for i, m := range members {
		call(m, i%2)
		for _, m := range members[i:min(i+2, len(members))] {
			f.visit(m, 0, "while one site after the other calls")
			f.visit(m, 1, "while one site after the other calls")
		}
	}
}

// visit loads a page of a site on a replica.
func (f *fleet) visit(m *member, n int, why string) {
	f.Helper()
	f.servesOn(f.replicas[n], m.Site, why)
	m.alive = time.Now()
}

// visits loads pages of every site that has the app and is used, on both replicas.
func (f *fleet) visits(why string) {
	f.Helper()
	for n := range f.replicas {
		for _, m := range f.members {
			if m.Installed() && !m.idle {
				f.visit(m, n, why)
			}
		}
	}
	f.pass(cacheTTL)
}

// settle lets every site that is used show which secret it is on. The app retires what was offered before that one.
func (f *fleet) settle(why string) {
	f.Helper()
	for range 2 {
		f.pass(settle)
		f.visits(why)
	}
	for _, m := range f.members {
		if m.Installed() && !m.idle {
			on := slices.IndexFunc(m.offers, func(o offer) bool { return o.secret == m.Secret() })
			m.offers, m.shown = m.offers[on:], true
		}
	}
}

// reports fails the test unless the report says what the sites know, to the last number, and logs it.
func (f *fleet) reports(target core.Target, step string) {
	f.Helper()
	got, err := json.Marshal(f.report(core.ReportOptions{Target: target}))
	if err != nil {
		f.Fatal(err)
	}
	want, err := json.Marshal(f.expected(target))
	if err != nil {
		f.Fatal(err)
	}
	f.Logf("%s:\n%s", step, got)
	if string(got) != string(want) {
		f.Errorf("%s: the sites know better:\n%s", step, want)
	}
}

// expected returns the report as it must be, of what the sites know.
func (f *fleet) expected(target core.Target) *core.Report {
	r := &core.Report{
		At: time.Now().UTC().Truncate(second), Target: target, AppSecrets: []core.Fingerprint{}, Percent: 100,
		BySecret: map[core.SecretClass]core.Tally{
			core.SecretOwn: {}, core.SecretAppWide: {}, core.SecretAppWideOlder: {}, core.SecretNone: {},
		},
		ByPhase:     map[core.Phase]core.Tally{core.PhaseSettled: {}, core.PhaseUnsettled: {}, core.PhaseContested: {}},
		ByLiveness:  liveness(nil),
		ByStraggler: map[core.Straggler]int{}, Advice: map[core.Straggler]string{},
		Needed: map[core.Fingerprint]core.Need{}, Stragglers: []core.TenantStatus{},
	}
	for _, s := range f.configured() {
		r.AppSecrets = append(r.AppSecrets, fingerprint(s))
		r.Needed[fingerprint(s)] = core.Need{}
	}
	for _, m := range f.members {
		f.count(r, m)
	}
	if r.Live > 0 {
		r.Percent = float64(1000*r.OnTarget/r.Live) / 10
	}
	return r
}

// configured returns the app-wide secrets that may still be used, as the replica knows them that is asked for reports.
func (f *fleet) configured() []string {
	known := f.known[slices.Index(f.replicas[:], f.app)]
	return slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == f.revoked })
}

// count adds a site to the report.
func (f *fleet) count(r *core.Report, m *member) {
	configured := f.configured()
	newest, class := offer{}, core.SecretNone
	if len(m.offers) > 0 {
		newest = m.offers[len(m.offers)-1]
		switch slices.Index(configured, newest.secret) {
		case 0:
			class = core.SecretAppWide
		case -1:
			class = core.SecretOwn
		default:
			class = core.SecretAppWideOlder
		}
	}
	target := map[core.Target]core.SecretClass{core.TargetAppWide: core.SecretAppWide, core.TargetOwn: core.SecretOwn}[r.Target]
	onTarget := m.Installed() && class == target && (!m.shown || newest.secret == m.Secret())
	alive := core.LivenessActive
	switch {
	case !m.Installed():
		alive = core.LivenessUninstalled
	case strings.Contains(m.BaseURL(), "-sandbox-"):
		alive = core.LivenessDevelopment
	case time.Since(m.alive) > 30*day:
		alive = core.LivenessIdle
	}
	live := alive == core.LivenessActive

	r.Total++
	add(r.ByLiveness, alive, onTarget)
	if m.Installed() && m.failed {
		r.Trouble.FailedCallbacks++
	}
	copied := false
	for _, o := range m.offers {
		copied = copied || !o.bound && slices.Contains(configured, o.secret)
		if need := r.Needed[fingerprint(o.secret)]; o.bound {
			if live {
				need.Live++
			} else {
				need.Other++
			}
			r.Needed[fingerprint(o.secret)] = need
		}
	}
	if copied {
		r.StoredCopies++
	}
	if !live {
		return
	}
	r.Live++
	add(r.BySecret, class, onTarget)
	phase := core.PhaseUnsettled
	if len(m.offers) == 1 {
		phase = core.PhaseSettled
	}
	add(r.ByPhase, phase, onTarget)
	if !onTarget {
		f.straggles(r, m, class, target)
		return
	}
	r.OnTarget++
	if len(m.secrets) > 1 {
		at := newest.at.UTC().Truncate(second)
		if at.After(r.LastMovedAt) {
			r.LastMovedAt = at
		}
		if age := time.Since(at); age <= day {
			r.MovedLastDay++
		}
		if age := time.Since(at); age <= 7*day {
			r.MovedLastWeek++
		}
	}
}

// straggles counts a live site that is not on target, by what holds it back.
func (f *fleet) straggles(r *core.Report, m *member, class, target core.SecretClass) {
	reason := core.StragglerNotOffered
	switch {
	case class == core.SecretNone:
		reason = core.StragglerNoSecret
	case m.failed:
		reason = core.StragglerCallbackFailed
	case class == target:
		reason = core.StragglerWentBack
	}
	r.ByStraggler[reason]++
	r.Advice[reason] = reason.Advice()
	r.StragglersLeftOut++
}

func add[K comparable](tallies map[K]core.Tally, class K, onTarget bool) {
	t := tallies[class]
	t.Total++
	if onTarget {
		t.OnTarget++
	}
	tallies[class] = t
}
