package histories

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// kind is a kind of history: what the site does, and who is against it.
type kind string

const (
	signed    kind = "signed by Atlassian"
	offeredIt kind = "the same secret offered again"
	leaked    kind = "a leaked secret"
	symmetric kind = "signed by the site"
	idle      kind = "a site that nobody visits"
)

var kinds = []kind{signed, offeredIt, leaked, symmetric, idle}

const (
	thiefsSecret     = "a secret that the thief has thought of"
	neighboursSecret = "the secret of another tenant"
	appWideSecret    = "one secret for the whole app"
)

// mostCallbacks keeps a history to what its kind is about: a thief needs time, and a row fills with many callbacks.
var mostCallbacks = map[kind]int{signed: 10, offeredIt: 10, leaked: 4, symmetric: 10, idle: 20}

// dice draws a number below n. Zero is the simplest choice.
type dice func(what string, n int) int

// step lets one thing happen, of those that can.
func (w *world) step(roll dice) {
	// No two steps are at the same moment, and so no two time-outs, whose order would not be known.
	w.pass(time.Millisecond)
	type option struct {
		weight int
		do     func(dice)
	}
	var options []option
	may := func(possible bool, weight int, do func(dice)) {
		if possible {
			options = append(options, option{weight, do})
		}
	}
	quiet := w.calling == nil
	may(true, w.often(4, leaked, 10), w.letTimePass)
	may(quiet && w.mayCall(), 5, w.swapAndCall)
	may(quiet && w.mayCall(), w.often(4, idle, 12), w.swapAndHear)
	may(quiet && w.mayCall(), w.often(1, offeredIt, 4), w.swapAndLose)
	may(quiet && w.site.Installed() && w.row != nil, 1, w.enableOrDisable)
	may(!quiet, 6, w.letCallArrive)
	may(len(w.stopped) > 0, 16, w.decide)
	may(!quiet && len(w.calling.answers) > 0, 6, w.letAnswerArrive)
	may(!quiet, 1, func(dice) { w.calling.waiting <- 0; w.settleDown() })
	may(w.site.Secret() != "" && w.mayMakePage(), w.often(4, idle, 1), w.makeSomePage)
	may(len(w.pages) > 0, 6, w.openSomePage)
	may(len(w.delivered) > 0, 2, w.sendAgain)
	may(slices.ContainsFunc(w.delivered, tamperable), 2, w.tamper)
	may(true, 1, func(roll dice) { w.crash(w.anyReplica(roll)) })
	may(w.kind != leaked, 1, w.loseDatabase)
	may(len(w.late) > 0, 3, w.finishLateWrite)
	may(quiet && len(w.revocable()) > 0, 1, w.revoke)
	may(w.row != nil, 1, w.useNeighboursSecret)
	may(len(w.revoked) > 0, 2, w.useRevokedSecret)
	may(w.kind == leaked && len(w.offered) > 0, 10, w.forgePage)

	total := 0
	for _, o := range options {
		total += o.weight
	}
	n := roll("step", total)
	for _, o := range options {
		if n -= o.weight; n < 0 {
			o.do(roll)
			break
		}
	}
	w.checkSite()
}

// often is the usual weight of a step, or another in one kind of history.
func (w *world) often(usual int, k kind, weight int) int {
	if w.kind == k {
		return weight
	}
	return usual
}

func (w *world) anyReplica(roll dice) *replica {
	return w.replicas[roll("replica", len(w.replicas))]
}

// letTimePass keeps within the site's patience while it calls.
func (w *world) letTimePass(roll dice) {
	if w.calling != nil {
		w.pass(time.Duration(1+roll("seconds", 4)) * time.Second)
		return
	}
	pauses := []time.Duration{time.Second, time.Minute, 16 * time.Minute, 5 * time.Hour, 26 * time.Hour, 3 * 24 * time.Hour}
	if w.kind == leaked { // A run changes hands within minutes, or never.
		pauses[0], pauses[4] = time.Minute, time.Minute
	}
	pause := pauses[roll("pause", len(pauses))]
	w.pass(pause)
	w.tell("%v later", pause)
	if w.kind == leaked && w.mustShow(pause) {
		w.open(w.makePage(3*time.Minute), w.anyReplica(roll))
		w.shownAt = time.Now()
	}
}

// mustShow keeps to a limit of the rules: nobody can tell a thief who has the secret from a site that is silent, for twice
// Settle, or for a week once both were seen.
func (w *world) mustShow(pause time.Duration) bool {
	if !w.site.Installed() || w.row == nil || pause < settle {
		return false
	}
	return !w.row.Contested || time.Since(w.shownAt) > 3*24*time.Hour
}

// mayCall keeps to a limit of the rules: a secret that no page has shown is lost when eight updates fail that nobody
// sees.
func (w *world) mayCall() bool {
	if len(w.delivered) >= mostCallbacks[w.kind] {
		return false
	}
	shown := w.row != nil && w.row.Proven == w.live()
	return shown || w.unproven < 5 || time.Since(w.seenAt) < 20*time.Hour
}

func (w *world) swapAndCall(roll dice) {
	event, prepare := fakehost.Installed, func(*fakehost.Callback) {}
	if !w.site.Installed() {
		w.call(event, prepare)
		return
	}
	switch roll("kind of callback", 10) {
	case 0, 1, 2:
		if w.kind == offeredIt {
			prepare = func(c *fakehost.Callback) { c.Offer(appWideSecret) }
		}
	case 3, 4:
		if w.kind == offeredIt {
			prepare = func(c *fakehost.Callback) { c.Offer(appWideSecret + ", the next one") }
		}
	case 5:
		prepare = func(c *fakehost.Callback) { c.Offer(w.site.Secret()) }
	case 6:
		prepare = func(c *fakehost.Callback) { c.OfferNothing() }
	case 7:
		event = fakehost.Uninstalled
	case 8:
		prepare = func(c *fakehost.Callback) { c.Offer(strings.Repeat("a long secret; ", 26) + c.Secret) }
	case 9:
		prepare = func(c *fakehost.Callback) { c.Offer("short") }
	}
	w.call(event, prepare)
}

// swapAndHear is a callback that goes through, but its answer may be lost.
func (w *world) swapAndHear(roll dice) {
	w.swapAndCall(roll)
	calm := w.calm
	w.calm = true
	w.arrive(w.calling, w.anyReplica(roll), w.calling.body)
	if w.kind != idle && roll("page inside", 2) == 1 {
		w.open(w.makePage(3*time.Minute), w.anyReplica(roll))
	}
	w.calm = calm
	if kept := w.often(1, idle, 6); roll("kept", kept+1) < kept {
		w.calling.answers = nil
	}
	w.answer(w.calling)
}

// swapAndLose is a callback that never arrives, with a page that is loaded meanwhile.
func (w *world) swapAndLose(roll dice) {
	w.swapAndCall(roll)
	if w.site.Secret() != "" && w.mayMakePage() {
		w.countMisleading()
		w.open(w.makePage(3*time.Minute), w.anyReplica(roll))
	}
	w.calling.waiting <- 0
	w.settleDown()
}

func (w *world) enableOrDisable(roll dice) {
	event := []fakehost.Event{fakehost.Enabled, fakehost.Disabled}[roll("event", 2)]
	w.call(event, func(*fakehost.Callback) {})
	d := w.delivered[len(w.delivered)-1]
	w.arrive(d, w.anyReplica(roll), d.body)
}

func (w *world) letCallArrive(roll dice) {
	w.arrive(w.calling, w.anyReplica(roll), w.calling.body)
}

// decide lets one call to the store go on, or not.
func (w *world) decide(roll dice) {
	stopped := w.take(func(*stop) bool { return true })
	n := roll("stopped call", len(stopped))
	chosen := stopped[n]
	w.stopped = append(w.stopped, slices.Delete(stopped, n, n+1)...)

	d := goOn
	if roll("trouble", 8) == 7 {
		d = []decision{failBefore, failAfter, failFirst, throwPanic, die, dieAfter}[roll("decision", 6)]
	}
	if d == failFirst && chosen.what == "Get" {
		d = failBefore
	}
	w.tell("%s %s", chosen, decisions[d])
	chosen.store.dead = d == die || d == dieAfter
	chosen.decision <- d
	w.aside(synctest.Wait)
	if chosen.store.dead {
		w.crash(chosen.store.replica)
	}
	w.settleDown()
}

func (w *world) letAnswerArrive(roll dice) {
	answers := w.calling.answers
	w.calling.waiting <- answers[roll("answer", len(answers))]
	w.settleDown()
}

// mayMakePage keeps to a limit of the rules: two failed callbacks that each see a page of a secret that was offered
// before look like a site that has settled on it.
func (w *world) mayMakePage() bool { return !w.misleads() || w.misled < 1 }

// misleads reports whether a page that is made now carries a secret that verifies though its callback may yet fail
// unseen.
func (w *world) misleads() bool {
	d := w.calling
	return d != nil && d.commits == 0 && w.live() != w.fingerprint(w.kept) && w.usable(w.live())
}

func (w *world) countMisleading() {
	if w.misleads() {
		w.misled++
	}
}

func (w *world) fingerprint(secret string) core.Fingerprint {
	if secret == "" {
		return ""
	}
	return w.know(secret)
}

func (w *world) makeSomePage(roll dice) {
	w.countMisleading()
	p := w.makePage([]time.Duration{3 * time.Minute, time.Hour}[roll("life", 2)])
	w.pages = append(w.pages, p)
	w.tell("%s is made, signed with %s", p.name, p.secret.Short())
}

func (w *world) openSomePage(roll dice) {
	n := roll("page", len(w.pages))
	p := w.pages[n]
	w.pages = slices.Delete(w.pages, n, n+1)
	w.open(p, w.anyReplica(roll))
}

// sendAgain is a proxy that repeats a request, or a thief who has read it.
func (w *world) sendAgain(roll dice) {
	d := w.delivered[roll("callback", len(w.delivered))]
	w.arrive(d, w.anyReplica(roll), d.body)
}

// tamperable reports whether a thief who has the token could make use of it. Its token is claimed: that somebody reads the
// token of a callback that no replica could claim is a limit.
func tamperable(d *delivery) bool { return d.claimed && d.offers != "" }

func (w *world) tamper(roll dice) {
	var ds []*delivery
	for _, d := range w.delivered {
		if tamperable(d) {
			ds = append(ds, d)
		}
	}
	d := ds[roll("callback", len(ds))]
	w.know(thiefsSecret)
	w.arrive(d, w.anyReplica(roll), strings.Replace(d.body, w.values[d.offers], thiefsSecret, 1))
}

// loseDatabase cuts a replica off from the database, or lets it back. A replica that was cut off asks once a second.
func (w *world) loseDatabase(roll dice) {
	r := w.anyReplica(roll)
	r.down = !r.down
	w.tell("%s reaches the database: %t", r.name, !r.down)
	if !r.down {
		w.pass(2 * time.Second)
	}
}

func (w *world) finishLateWrite(roll dice) {
	n := roll("write", len(w.late))
	write := w.late[n]
	w.late = slices.Delete(w.late, n, n+1)
	w.tell("a write that was given up is done")
	w.aside(write)
}

// revocable returns the secrets that an operator may revoke without harm.
func (w *world) revocable() (fingerprints []core.Fingerprint) {
	if w.row == nil {
		return nil
	}
	for _, s := range w.row.Secrets {
		if s.State == core.Usable && s.Fingerprint != w.live() {
			fingerprints = append(fingerprints, s.Fingerprint)
		}
	}
	return fingerprints
}

func (w *world) revoke(roll dice) {
	fingerprints := w.revocable()
	f := fingerprints[roll("secret", len(fingerprints))]
	w.tell("the operator revokes %s", f.Short())
	w.revoked[f], w.ceased[f] = true, time.Now()
	if roll("the process dies in the middle", 4) == 3 {
		revocation := core.Revocation{AppKey: w.key.AppKey, Fingerprint: f, Reason: "leaked", At: time.Now()}
		if err := w.store.Revoke(context.Background(), revocation); err != nil {
			panic(err)
		}
		return
	}
	r := w.anyReplica(roll)
	down, calm := r.down, w.calm
	r.down, w.calm = false, true
	var err error
	everywhere := roll("for every tenant", 2) == 1
	w.aside(func() {
		if everywhere {
			_, err = r.app.Revoke(context.Background(), f, "leaked")
		} else {
			err = r.app.RevokeFor(context.Background(), w.key.ClientKey, f, "leaked")
		}
	})
	if err != nil {
		w.breaks("a secret can be revoked")
	}
	r.down, w.calm = down, calm
	if status := w.forge(f, 0, r); status == http.StatusOK {
		w.breaks("a revoked secret verifies nothing where it was revoked")
	}
}

// forgePage is a thief who has a secret that the site has once offered, and makes tokens of whatever age.
func (w *world) forgePage(roll dice) {
	secrets := w.offered
	if old := slices.DeleteFunc(slices.Clone(secrets), func(f core.Fingerprint) bool { return f == w.live() || !w.usable(f) }); len(old) > 0 {
		secrets = old
	}
	f := secrets[roll("secret", len(secrets))]
	ages := []time.Duration{0, -20 * time.Second, time.Minute, 30 * time.Minute}
	w.forge(f, ages[roll("age", len(ages))], w.anyReplica(roll))
}

// useNeighboursSecret is a tenant who speaks for another one, with a secret that is in the same store.
func (w *world) useNeighboursSecret(roll dice) {
	w.forge(w.know(neighboursSecret), 0, w.anyReplica(roll))
}

// useRevokedSecret is whoever has found the secret that was revoked.
func (w *world) useRevokedSecret(roll dice) {
	revoked := slices.Sorted(maps.Keys(w.revoked))
	w.forge(revoked[roll("secret", len(revoked))], 0, w.anyReplica(roll))
}

// begin installs the app without a mishap, for most histories.
func (w *world) begin(roll dice) {
	if roll("before the first install", 4) == 3 && w.kind != symmetric {
		return
	}
	w.calm = true
	w.call(fakehost.Installed, func(*fakehost.Callback) {})
	w.arrive(w.calling, w.replicas[0], w.calling.body)
	w.answer(w.calling)
	if !w.site.Installed() {
		w.breaks("a site can install when all is well")
		return
	}
	w.pass(time.Hour)
	w.open(w.makePage(3*time.Minute), w.replicas[0])
	w.calm = false
	w.checkSite()
}
