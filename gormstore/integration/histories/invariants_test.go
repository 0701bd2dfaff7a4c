package histories

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

// leeway is what replicas and the site may differ by, and what is allowed for it.
const leeway = 30 * time.Second

// checkSite checks what holds whenever the site is not in the middle of a callback.
func (w *world) checkSite() {
	live := w.live()
	if w.calling != nil || live == "" || w.revoked[live] {
		return
	}
	if w.site.Installed() && !w.usable(live) {
		w.breaks("no lock-out: the secret that the site signs with verifies")
	}
	// A symmetric site signs its next install with what it had, installed or not.
	if w.kind == symmetric && w.row != nil && state(w.row, live) != core.Usable {
		w.breaks("no lock-out: the secret that the site signs its next install with verifies")
	}
}

// committed checks what a write has made of the row. h is nil for what the recorder or the operator has written.
func (w *world) committed(h *handling, key core.Key) {
	if key != w.key {
		return
	}
	before := w.row
	after, err := w.store.Get(context.Background(), w.key)
	if err != nil {
		w.breaks("a row that was written can be read: " + err.Error())
		return
	}
	w.row = after
	w.tell("committed: %s", describe(after))
	if h != nil {
		h.commits++
		h.saw = after
		h.delivery.commits++
		if h.tampered {
			w.breaks("a used token with another body changes nothing")
		}
		if h.delivery.commits > 1 {
			w.breaks("a callback is applied once, however often and wherever it arrives")
		}
	}
	for _, s := range after.Secrets {
		if s.State == core.Usable {
			if !w.sent[s.Fingerprint] {
				w.breaks("no secret verifies that the site did not send")
			}
			if w.revoked[s.Fingerprint] && state(before, s.Fingerprint) != core.Usable {
				w.breaks("a revoked secret never comes back")
			}
			if size := len(s.Value.Reveal()); size < 16 || size > 4096 {
				w.breaks("a usable secret can be read, and is neither short nor long")
			}
		} else if !s.Value.IsZero() {
			w.breaks("a secret that verifies no more is erased")
		}
	}
	if count(after) > 8 {
		w.breaks("a row has eight usable secrets at most")
	}
	if after.State == core.Uninstalled && after.Signing == core.SignedRS256 && count(after) > 0 {
		w.breaks("an uninstall erases the secrets of a signed installation")
	}
	if before != nil {
		w.checkChange(h, before, after)
	}
}

// checkChange compares a row with the one before it.
func (w *world) checkChange(h *handling, before, after *core.Installation) {
	if after.Revision <= before.Revision {
		w.breaks("revisions grow")
	}
	if after.Watermark.Before(before.Watermark) || after.ActivationWatermark.Before(before.ActivationWatermark) {
		w.breaks("the watermark never goes back")
	}
	if before.Signing == core.SignedRS256 && after.Signing != core.SignedRS256 {
		w.breaks("a signed installation never goes back to a weaker signature")
	}
	for _, s := range before.Secrets {
		is := state(after, s.Fingerprint)
		if s.State == core.Usable && is != core.Usable {
			w.ceased[s.Fingerprint] = time.Now()
			switch {
			case h == nil && is == core.Retired:
				w.events[retiredByRun] = true
			case h != nil && h.delivery.event == fakehost.Installed && w.kind != symmetric:
				w.events[retiredToMakeRoom] = true
			}
		}
		if s.State == core.Usable && is == "" {
			w.breaks("a secret that was usable leaves its fingerprint")
		}
		if s.State != core.Retired || is != core.Usable {
			continue
		}
		if h == nil || h.delivery.offers != s.Fingerprint || h.delivery.madeAt.Before(s.RetiredAt.Add(-5*time.Minute)) {
			w.breaks("a retired secret comes back only with a callback that was made later")
		}
	}
	if after.Contested {
		w.events[contestedRun] = true
	}
	if before.State == core.Installed && after.State != core.Installed {
		for _, s := range before.Secrets {
			w.ceased[s.Fingerprint] = time.Now()
		}
	}
	if newest := after.Newest(); newest != before.Newest() {
		if newest != "" && after.SecretVersion <= before.SecretVersion {
			w.breaks("the secret version grows when another secret becomes the newest")
		}
		byCallback := h != nil && !h.delivery.madeAt.Truncate(time.Second).Before(before.Watermark)
		if !byCallback && state(after, before.Newest()) == core.Usable {
			w.breaks("the newest secret changes by a callback that is not older, or because it was retired")
		}
	}
}

// checkAnswer checks the answer to a callback against the row that it was decided on.
func (w *world) checkAnswer(h *handling) {
	d, status := h.delivery, h.status
	accepted := status == http.StatusNoContent
	switch {
	case h.tampered && status == http.StatusUnauthorized:
		w.events[sentAnotherBody] = true
	case status == http.StatusConflict:
		w.events[cameTooLate] = true
	case accepted && h.commits == 0:
		w.events[cameAgain] = true
	case !accepted && h.commits > 0:
		w.events[reportedAsFailed] = true
	case status == http.StatusServiceUnavailable && h.saw != nil && count(h.saw) == 8 && !h.replica.down:
		w.events[sentBackWhenFull] = true
	}
	switch {
	case h.tampered:
		if accepted {
			w.breaks("a used token with another body is refused")
		}
		return
	case !accepted && h.commits > 0 && !h.misheard:
		w.breaks("what is refused changes nothing")
	case accepted && d.event == fakehost.Installed && !w.holds(h.saw, d):
		w.breaks("what was accepted is in the store")
	case accepted && d.event == fakehost.Uninstalled && h.saw != nil && h.saw.State != core.Uninstalled:
		w.breaks("an uninstall that was accepted is in the store")
	case status == http.StatusConflict && !h.tooLate():
		w.breaks("only a callback is refused as too old that is older than what was applied, or than the retirement of its secret")
	case w.unexpected(d, status):
		w.breaks(fmt.Sprintf("a genuine callback is answered with 204, 409 or 503, not with %d", status))
	}
}

// holds reports whether the row has what an installed callback said.
func (w *world) holds(row *core.Installation, d *delivery) bool {
	unsigned := d.request.Header.Get("Authorization") == "" // has no time but ours
	return row != nil && row.State == core.Installed &&
		(unsigned || row.Watermark.Equal(d.madeAt.Truncate(time.Second))) &&
		(d.offers == "" || w.revoked[d.offers] || state(row, d.offers) == core.Usable)
}

// tooLate reports whether something was applied that is newer than the callback.
func (h *handling) tooLate() bool {
	d := h.delivery
	if h.saw == nil {
		return false
	}
	watermark := h.saw.Watermark
	if d.event == fakehost.Enabled || d.event == fakehost.Disabled {
		watermark = h.saw.ActivationWatermark
	}
	if watermark.After(d.madeAt) {
		return true
	}
	for _, s := range h.saw.Secrets {
		if s.Fingerprint == d.offers && s.State == core.Retired && s.RetiredAt.After(d.madeAt) {
			return true
		}
	}
	return false
}

func (w *world) unexpected(d *delivery, status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusConflict, http.StatusServiceUnavailable:
		return false
	case http.StatusBadRequest:
		return !d.short && (w.row != nil || d.offers != "") // an update for a tenant that nobody knows
	default:
		return w.kind != symmetric && !w.revoked[d.offers] && time.Since(d.madeAt) < 3*time.Minute-leeway &&
			(d.event == fakehost.Installed || d.event == fakehost.Uninstalled)
	}
}

// checkPage checks what became of a page that reached a replica when its secret was usable, or not.
func (w *world) checkPage(p *page, r *replica, arrived time.Time, usable bool, status int) {
	switch status {
	case http.StatusOK:
		usable = usable || w.usable(p.secret) // its callback may have got through while the page waited
		if r.down {
			w.events[servedWithoutRow] = true
		}
		switch ceased := w.ceased[p.secret]; {
		case !w.sent[p.secret]:
			w.breaks("no request is accepted by a secret that the site did not send")
		case r.down && arrived.Sub(r.lastGood) > maxStale:
			w.breaks("without the store nobody is served for longer than MaxStale")
		case !usable && !r.down && arrived.Sub(ceased) > cacheTTL:
			w.breaks("a secret verifies no request once it has been out of use for longer than the cache lives")
		case !usable && arrived.Sub(ceased) > maxStale:
			w.breaks("a secret verifies no request once it has been out of use for longer than MaxStale")
		}
	case http.StatusUnauthorized:
		if d := w.calling; d != nil && d.offers == p.secret && d.commits == 0 {
			w.events[overtook] = true
		}
		// The thief's may be too old or too young for the replica; the site's are not.
		if usable && !p.forged && arrived.Sub(p.madeAt) < p.life-leeway {
			w.breaks("no token is refused that the site has made with a usable secret")
		}
	case http.StatusServiceUnavailable:
		if !r.down {
			w.breaks("a replica that reaches the database serves")
		}
	default:
		w.breaks(fmt.Sprintf("a page is answered with 200, 401 or 503, not with %d", status))
	}
}

// checkEnd lets the storm pass and checks that all is well then, and that one secret is left in the end.
func (w *world) checkEnd() {
	w.calmDown()
	var err error
	w.aside(func() { _, err = w.replicas[0].app.Maintain(context.Background()) })
	if err != nil {
		w.breaks("maintenance works once all is well")
	}
	w.settleDown()
	for f := range w.revoked {
		if state(w.row, f) == core.Usable {
			w.breaks("maintenance erases what was revoked")
		}
	}
	w.checkSite()
	if !w.site.Installed() || w.revoked[w.live()] {
		w.pass(25 * time.Hour) // a limit: for so long a full row may take the site for one that is still there
		w.call(fakehost.Installed, func(*fakehost.Callback) {})
		w.arrive(w.calling, w.replicas[0], w.calling.body)
		w.answer(w.delivered[len(w.delivered)-1])
		if !w.site.Installed() {
			w.breaks("a site can install again once all is well")
			return
		}
	}
	// Ten minutes: with a page at once the row would count as alive. Then a quarter of an hour twice for a run, a week
	// for one that is contested, and a month for the secrets that the site has not adopted.
	for n, pause := range []time.Duration{10 * time.Minute, 2 * settle, 2 * settle, 8 * 24 * time.Hour, 31 * 24 * time.Hour} {
		w.pass(pause)
		for _, r := range w.replicas {
			if status := w.open(w.makePage(3*time.Minute), r); status != http.StatusOK {
				w.breaks("every replica serves the site once all is well")
			}
		}
		if n == 2 && !w.row.Contested && w.older() {
			w.breaks("two pages Settle apart retire what was offered before")
		}
	}
	if count(w.row) != 1 || !w.usable(w.live()) {
		w.breaks("a quiet site ends with the one secret that it signs with")
	}
}

// older reports whether a secret is usable that was offered before the site's own.
func (w *world) older() bool {
	for _, s := range w.row.Secrets {
		if s.Fingerprint == w.live() {
			return false
		}
		if s.State == core.Usable {
			return true
		}
	}
	return false
}

// verdict returns an error with the first invariant that does not hold, and the story of how it came.
func (w *world) verdict() error {
	if len(w.broken) == 0 {
		return nil
	}
	return errors.New(w.broken[0])
}

// count returns how many secrets of the row are usable.
func count(row *core.Installation) (usable int) {
	for _, s := range row.Secrets {
		if s.State == core.Usable {
			usable++
		}
	}
	return usable
}

// describe says what a row holds, in a line.
func describe(row *core.Installation) string {
	text := string(row.State)
	for _, s := range row.Secrets {
		text += " " + s.Fingerprint.Short() + ":" + string(s.State)
	}
	if row.Run.Fingerprint != "" {
		text += ", run of " + row.Run.Fingerprint.Short()
	}
	if row.Contested {
		text += ", contested"
	}
	return text
}
