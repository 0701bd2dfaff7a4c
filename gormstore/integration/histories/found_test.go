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

// What has broken a promise once. The first line of each says what it did then.

// settled has the site rotate, and settle on the new secret.
func (w *world) settled() {
	w.pass(settle)
	w.callback("", true, true, nil)
	w.visits()
}

// visits loads as many pages as it takes to settle.
func (w *world) visits() {
	for range 2 {
		w.pass(settle)
		w.visit()
	}
}

// The live secret was deleted: making room in the row had moved the one that was offered again.
func TestOfferingARetiredSecretToAFullRowTakesNoOtherAway(t *testing.T) {
	for heard := range map[bool]bool{false: true, true: true} {
		t.Run(map[bool]string{true: "the answer is heard", false: "the answer is lost"}[heard], func(t *testing.T) {
			limit(t, signed, func(t *testing.T, w *world) {
				for range 16 {
					w.settled()
				}
				w.pass(25 * time.Hour)
				for range 7 {
					w.callback("", true, false, nil)
				}
				w.callback(w.values[w.offered[15]], true, heard, nil)
				w.wantLockedOut(t, false)
				for range 40 {
					w.pass(24 * time.Hour)
					w.visit()
				}
				if count(w.row) != 1 {
					t.Errorf("after forty days with a page each: got %s, want one usable secret", describe(w.row))
				}
			})
		})
	}
}

// The page was not written down, since another one was half a minute before it.
func TestAPageSoonAfterTheOneOfAFailedCallbackTellsThemApart(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		visit := func() { w.visit() }
		w.callback(appWideSecret, true, false, nil)
		w.pass(2 * settle)
		w.callback(appWideSecret, false, false, visit)
		w.pass(20 * time.Second)
		w.visit()
		w.pass(2 * settle)
		w.callback(appWideSecret, false, false, visit)
		w.wantLockedOut(t, false)
	})
}

// The thief needed half an hour, since the site's page was not written down.
func TestAPageSoonAfterTheThiefsMakesHimWaitForAWeek(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.callback("", true, false, nil)
		stolen := w.offered[1]
		w.pass(settle)
		w.forge(stolen, 0, w.replicas[0])
		w.pass(29 * time.Second)
		w.visit()
		w.pass(settle)
		w.forge(stolen, 0, w.replicas[0])
		w.wantLockedOut(t, false)
	})
}

// The thief needed half an hour, since the offer made the row forget that it was contested.
func TestAFailedUpdateDoesNotEndAContest(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.callback("", true, false, nil)
		stolen := w.offered[1]
		w.pass(settle)
		w.visit()
		w.pass(time.Minute)
		w.forge(stolen, 0, w.replicas[0])
		w.callback("", true, false, nil)
		for range 2 {
			w.pass(settle)
			w.forge(stolen, 0, w.replicas[0])
		}
		w.wantLockedOut(t, false)
	})
}

// The month began with the offer, so it was over when the week was.
func TestAThiefWithAFormerSecretNeedsAMonthAfterTheQuietWeek(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		leakedSecret := w.offered[0]
		w.callback("", true, true, nil)
		w.pass(settle)
		for range 40 {
			w.pass(24 * time.Hour)
			w.forge(leakedSecret, 0, w.replicas[0])
			w.pass(time.Minute)
			w.visit()
		}
		w.pass(time.Minute)
		for range 4 { // the site is silent
			w.forge(leakedSecret, 0, w.replicas[0])
			w.wantLockedOut(t, false)
			w.pass(7 * 24 * time.Hour)
		}
	})
}

// It was answered 409, since the replica's clock is ahead of the site's.
func TestASecretMayBeOfferedAgainRightAfterItWasRetired(t *testing.T) {
	told(t, signed, func(t *testing.T, w *world) {
		w.callback(appWideSecret, true, true, nil)
		w.callback("", true, true, nil)
		for range 2 {
			w.pass(settle + time.Minute)
			w.visit()
		}
		w.pass(5 * time.Second)
		w.wantTaken(t, appWideSecret)
	}, 25*time.Second)
}

// Each try was answered 409: room was made by retiring what was offered.
func TestAFullSymmetricRowTakesASecretThatItHas(t *testing.T) {
	told(t, symmetric, func(t *testing.T, w *world) {
		w.pass(time.Minute)
		w.callback(appWideSecret, true, false, nil)
		for count(w.row) < 8 {
			w.callback("", true, false, nil)
		}
		w.pass(2 * settle)
		w.wantTaken(t, appWideSecret)
	}, 2*time.Second)
}

// It was answered 409: an unsigned install bore the time of a replica whose clock is ahead.
func TestAnUpdateMayFollowAnUnsignedInstallAtOnce(t *testing.T) {
	told(t, symmetric, func(t *testing.T, w *world) { w.wantTaken(t, "another secret of the site's") }, 25*time.Second)
}

// It came back: it was forgotten as it was retired, before those that had been retired long ago.
func TestWhatWasJustRetiredIsNotForgotten(t *testing.T) {
	limit(t, signed, func(t *testing.T, w *world) {
		w.callback(appWideSecret, true, true, nil)
		w.visits()
		w.pass(25 * time.Hour)
		for range 24 {
			w.callback("", true, false, nil)
		}
		w.callback("", true, true, nil)
		w.pass(settle)
		w.visit()
		w.pass(settle - 10*time.Minute)
		w.call(fakehost.Installed, func(c *fakehost.Callback) { c.Offer(appWideSecret) })
		delayed := w.calling
		w.answer(delayed)
		w.pass(12 * time.Minute)
		w.visit()
		if h := w.arrive(delayed, w.replicas[0], delayed.body); h.status != http.StatusConflict || w.usable(w.know(appWideSecret)) {
			t.Errorf("a callback made before its secret was retired: got %d, want 409", h.status)
		}
	})
}

// It was answered 204: with the greatest Leeway the claim was forgotten before its token had expired everywhere.
func TestAClaimOutlivesItsTokenOnEveryClock(t *testing.T) {
	inBubble(t, func() {
		w, err := newWorld(signed, memstore.New(), 0, 4*time.Minute)
		if err != nil {
			t.Error(err)
			return
		}
		defer w.end()
		w.leeway = 5 * time.Minute
		w.crash(w.replicas[0])
		w.calm = true
		w.callback("", true, true, nil)
		w.pass(time.Minute)
		w.call(fakehost.Installed, func(*fakehost.Callback) {})
		d := w.calling
		w.calm = false
		w.arrive(d, w.replicas[0], d.body)
		for _, s := range w.take(func(s *stop) bool { return s.what == "Claim" }) {
			s.decision <- goOn
		}
		w.settleDown()
		w.crash(w.replicas[0])
		w.calm = true
		w.answer(d)
		w.pass(20*time.Minute - 2*patience)
		// The claim of another tenant, at the replica that is ahead, sweeps those that have expired.
		_, err = w.store.Claim(context.Background(), core.Claim{
			AppKey: w.key.AppKey, ID: [32]byte{1}, At: time.Now().Add(4 * time.Minute), ExpiresAt: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Error(err)
		}
		w.know(thiefsSecret)
		if h := w.arrive(d, w.replicas[0], strings.Replace(d.body, w.values[d.offers], thiefsSecret, 1)); h.status != http.StatusUnauthorized {
			t.Errorf("another body under a claimed token: got %d, want 401", h.status)
		}
	})
}

// wantTaken has the site offer a secret, which must be answered 204.
func (w *world) wantTaken(t *testing.T, secret string) {
	t.Helper()
	w.callback(secret, true, true, nil)
	if w.site.Secret() != secret {
		t.Error("the callback was refused, want 204")
	}
}
