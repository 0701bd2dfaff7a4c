package histories

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
)

// What the rules cannot tell apart, as the package comment of core states it. Each limit is reproduced here, together with
// how near one may come to it, so that neither the statement nor the rules change unnoticed.

// limit tells a story that comes to a limit, or near one.
func limit(t *testing.T, k kind, tell func(*testing.T, *world)) {
	t.Helper()
	told(t, k, tell, 0, 0)
}

// told tells a story in a world without other mishaps, in which the site has installed the app. Each skew
// stands for a replica, whose clock is that much ahead of the site's.
func told(t *testing.T, k kind, tell func(*testing.T, *world), skews ...time.Duration) {
	t.Helper()
	t.Parallel()
	inBubble(t, func() {
		w, err := newWorld(k, memstore.New(), skews...)
		if err != nil {
			t.Error(err)
			return
		}
		defer w.end()
		w.calm = true
		w.callback("", true, true, nil)
		tell(t, w)
		if t.Failed() {
			t.Log("\n" + strings.Join(w.story, "\n"))
		}
	})
}

// callback has the site offer a secret, or a fresh one. It arrives or not; a page may be loaded while it is under way;
// and the site hears of its success or not.
func (w *world) callback(secret string, arrives, heard bool, inside func()) {
	w.call(fakehost.Installed, func(c *fakehost.Callback) {
		if secret != "" {
			c.Offer(secret)
		}
	})
	d := w.calling
	if arrives {
		w.arrive(d, w.replicas[0], d.body)
	}
	if inside != nil {
		inside()
	}
	if !heard {
		d.answers = nil
	}
	w.answer(d)
}

// visit loads a page of the site.
func (w *world) visit() int { return w.open(w.makePage(3*time.Minute), w.replicas[0]) }

func (w *world) wantLockedOut(t *testing.T, want bool) {
	t.Helper()
	if lockedOut := !w.usable(w.live()); lockedOut != want {
		t.Errorf("locked out: got %t, want %t", lockedOut, want)
	}
}

// wantHealed checks that the next signed install lets the site back in.
func (w *world) wantHealed(t *testing.T) {
	t.Helper()
	w.callback("", true, true, nil)
	if status := w.visit(); status != http.StatusOK {
		t.Errorf("after the next install: got %d, want 200", status)
	}
}

func TestLimitTwoFailedCallbacksWithAPageInEachLookLikeASiteThatHasSettled(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		visit := func() { w.visit() }
		w.callback(appWideSecret, true, false, nil)
		w.pass(2 * settle)
		w.callback(appWideSecret, false, false, visit)
		w.wantLockedOut(t, false)
		w.pass(2 * settle)
		w.callback(appWideSecret, false, false, visit)
		w.wantLockedOut(t, true)
		w.wantHealed(t)
	})
}

func TestAnotherPageBetweenThoseTwoTellsThemApart(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		visit := func() { w.visit() }
		w.callback(appWideSecret, true, false, nil)
		for range 2 {
			w.pass(settle)
			w.callback(appWideSecret, false, false, visit)
			w.pass(settle)
			w.visit()
		}
		w.wantLockedOut(t, false)
	})
}

func TestLimitAThiefSettlesOnASecretThatASilentSiteDidNotKeep(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.callback("", true, false, nil)
		stolen := w.offered[1]
		w.pass(settle)
		w.forge(stolen, 0, w.replicas[0])
		w.wantLockedOut(t, false)
		w.pass(settle)
		w.forge(stolen, 0, w.replicas[0])
		w.wantLockedOut(t, true)
		w.wantHealed(t)
	})
}

func TestLimitBesideALiveSiteTheThiefNeedsASilentWeek(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.callback("", true, false, nil)
		stolen := w.offered[1]
		w.pass(settle)
		w.visit()
		w.pass(time.Minute)
		w.forge(stolen, 0, w.replicas[0])
		w.pass(6 * 24 * time.Hour)
		w.forge(stolen, 0, w.replicas[0])
		w.wantLockedOut(t, false)
		w.pass(24 * time.Hour)
		w.forge(stolen, 0, w.replicas[0])
		w.wantLockedOut(t, true)
		w.wantHealed(t)
	})
}

func TestLimitSevenUpdatesThatFailUnseenTakeASecretThatWasNotShown(t *testing.T) {
	for shown, want := range map[bool]bool{false: true, true: false} {
		t.Run(map[bool]string{true: "shown", false: "not shown"}[shown], func(t *testing.T) {
			limit(t, signed, func(t *testing.T, w *world) {
				w.callback("", true, true, nil)
				for range 14 {
					w.pass(time.Minute)
					w.visit() // so soon after the offer it shows nothing
				}
				if shown {
					w.pass(time.Minute)
					w.visit()
				}
				w.pass(25 * time.Hour)
				for range 7 {
					w.wantLockedOut(t, false)
					w.callback("", true, false, nil)
				}
				w.callback("", true, false, nil)
				w.wantLockedOut(t, want)
				w.wantHealed(t)
			})
		})
	}
}

func TestLimitALeakedSecretThatIsUsedEveryWeekIsNotRetired(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		stolen := w.offered[0]
		sent := 0
		for ; sent < 10 && (w.calling == nil); sent++ {
			for range 5 {
				w.pass(6 * 24 * time.Hour)
				w.visit()
				w.pass(time.Minute)
				w.forge(stolen, 0, w.replicas[0])
				w.pass(time.Minute)
				w.visit()
			}
			w.callback("", true, true, nil)
		}
		if !w.usable(stolen) || !w.row.Contested || count(w.row) != 8 {
			t.Errorf("after %d rotations: got %s, want a full row, contested, with the leaked secret", sent, describe(w.row))
		}
		w.wantLockedOut(t, false)
		var err error
		w.aside(func() { _, err = w.replicas[0].app.Revoke(context.Background(), stolen, "leaked") })
		if err != nil || w.forge(stolen, 0, w.replicas[0]) != http.StatusUnauthorized {
			t.Errorf("revoked: %v, want it refused", err)
		}
		w.revoked[stolen] = true
		w.wantHealed(t)
	})
}

func TestLimitATokenThatNoReplicaCouldClaimServesAThief(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		a, b := w.replicas[0], w.replicas[1]
		thief := func(d *delivery) int {
			w.know(thiefsSecret)
			return w.arrive(d, b, strings.Replace(d.body, w.values[d.offers], thiefsSecret, 1)).status
		}
		a.down = true
		w.callback("", true, false, nil)
		if got := thief(w.delivered[1]); got != http.StatusNoContent {
			t.Errorf("under a token that was never claimed: got %d, want 204", got)
		}
		a.down = false
		w.pass(2 * time.Second)
		w.callback("", true, false, nil)
		if got := thief(w.delivered[2]); got != http.StatusUnauthorized {
			t.Errorf("under a token that was claimed: got %d, want 401", got)
		}
		w.wantLockedOut(t, false)
	})
}

func TestLimitASymmetricInstallThatWasNeverCommittedCannotBeRepeated(t *testing.T) {
	limit(t, symmetric, func(t *testing.T, w *world) {
		// A real site may keep what it offered with its first install, though that failed; this one has lost its own.
		c := w.site.Callback(fakehost.Installed)
		c.Token.Key = []byte("a secret that was offered and never arrived")
		var answer fakehost.Answer
		var err error
		w.aside(func() { answer, err = c.Post(context.Background()) })
		if err != nil || answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %d, %v, want 401", answer.StatusCode, err)
		}
	})
}

func TestLimitCallbacksOfOneSecondAreAppliedAsTheyArrive(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.pass(time.Second)
		first, second := w.site.Callback(fakehost.Installed), w.site.Callback(fakehost.Installed)
		for _, c := range []*fakehost.Callback{second, first} {
			w.sent[w.know(c.Secret)] = true
			var answer fakehost.Answer
			var err error
			w.aside(func() { answer, err = c.Post(context.Background()) })
			if err != nil || !answer.Accepted() {
				t.Errorf("got %d, %v, want 204", answer.StatusCode, err)
			}
		}
		row, err := w.store.Get(context.Background(), w.key)
		if err != nil {
			t.Error(err)
			return
		}
		if row.Newest() != w.know(first.Secret) || state(row, w.know(second.Secret)) != core.Usable {
			t.Error("want the one that arrived last as the newest, and the other usable")
		}
	})
}

func TestLimitARestoredDatabaseIsBehindUntilTheNextCallback(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		backup := w.row
		w.pass(settle)
		w.callback("", true, true, nil)
		restored := backup.Clone()
		restored.Revision = w.row.Revision
		if _, err := w.store.Put(context.Background(), restored); err != nil {
			t.Error(err)
		}
		w.row = restored
		w.pass(cacheTTL)
		if status := w.visit(); status != http.StatusUnauthorized {
			t.Errorf("got %d, want 401", status)
		}
		w.row = nil
		w.wantHealed(t)
	})
}

func TestLimitAFullRowWhoseUninstallWasLostRefusesTheNextInstallForADay(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.pass(settle)
		w.visit()
		for range 7 {
			w.callback("", true, false, nil)
		}
		w.call(fakehost.Uninstalled, func(*fakehost.Callback) {})
		w.answer(w.calling)
		w.callback("", true, true, nil)
		if w.site.Installed() {
			t.Error("installed at once, want 503")
		}
		w.pass(24 * time.Hour)
		w.callback("", true, true, nil)
		if !w.site.Installed() {
			t.Error("not installed after a day")
		}
	})
}
