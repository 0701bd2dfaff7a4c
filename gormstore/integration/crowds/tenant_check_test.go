package crowds

import (
	"slices"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// check holds the row against the answers. Nothing here knows in which order the callbacks were decided; the row says it.
//
// A write that the store did not answer in time may have happened though the callback was refused. Then the row may have
// more than the answers say, but never less.
func (c *tenant) check(before *core.Installation, messages []*message) {
	c.t.Helper()
	all, err := c.store.List(c.t.Context(), inprocess.AppKey, "", crowd)
	if err != nil || len(all) != 1 {
		c.t.Errorf("got %d rows, %v, want the tenant's one", len(all), err)
	}
	commits, unknown := c.commits.done.Load(), c.commits.unknown.Load()
	c.committed, c.unknown = c.committed+commits, c.unknown+unknown
	after := c.row()
	var installs, activations []*message
	for _, m := range messages {
		switch {
		case !m.accepted():
		case m.Event == fakehost.Installed:
			installs = append(installs, m)
		default:
			activations = append(activations, m)
		}
	}
	if len(installs) == 0 || len(activations) == 0 {
		c.t.Errorf("%d installed and %d enabled or disabled callbacks were accepted, want some of each", len(installs), len(activations))
		return
	}
	c.checkNothingIsLost(after, installs, activations)
	if unknown > 0 {
		c.t.Logf("the store has left %d writes unanswered: this round is not checked for what should not be there", unknown)
		return
	}
	c.checkSecrets(before, after, installs)
	c.checkOrder(after, installs)
	c.checkActivation(after, activations)

	// Each commit goes one revision further, and each install is one commit, however many copies came. Of enabled and
	// disabled, one that says what the row says already may need none.
	if after.Revision != before.Revision+commits {
		c.t.Errorf("got revision %d after %d commits on %d: somebody's write is lost", after.Revision, commits, before.Revision)
	}
	if rest := commits - int64(len(installs)); rest < 1 || rest > int64(len(activations)) {
		c.t.Errorf("got %d commits for %d installed and %d enabled or disabled callbacks", commits, len(installs), len(activations))
	}
}

// checkNothingIsLost: what was answered yes to is in the row, or something newer is.
func (c *tenant) checkNothingIsLost(after *core.Installation, installs, activations []*message) {
	c.t.Helper()
	for _, m := range installs {
		if secret := m.secret(); secret != "" && !slices.Contains(usable(after), fingerprint(secret)) {
			c.t.Errorf("%s: answered yes to, but its secret is not usable: the site is locked out", m)
		}
		if m.issuedAt.After(after.Watermark) {
			c.t.Errorf("%s: answered yes to, but the row is of %v", m, after.Watermark)
		}
	}
	for _, m := range activations {
		if m.issuedAt.After(after.ActivationWatermark) {
			c.t.Errorf("%s: answered yes to, but the row is of %v", m, after.ActivationWatermark)
		}
	}
}

// checkSecrets: none is usable but the one that was, and those that were answered yes to.
func (c *tenant) checkSecrets(before, after *core.Installation, installs []*message) {
	c.t.Helper()
	want := usable(before)
	for _, m := range installs {
		if secret := m.secret(); secret != "" {
			want = append(want, fingerprint(secret))
		}
	}
	for _, f := range usable(after) {
		if !slices.Contains(want, f) {
			c.t.Errorf("secret %s is usable, but no callback that brought it was answered yes to", f.Short())
		}
	}
	if offers := int64(len(want) - len(usable(before))); after.SecretVersion != before.SecretVersion+offers {
		c.t.Errorf("got secret version %d after %d offers at %d", after.SecretVersion, offers, before.SecretVersion)
	}
}

// checkOrder: the newest installs that were answered yes to were applied, once each, and the last one is in the row.
func (c *tenant) checkOrder(after *core.Installation, installs []*message) {
	c.t.Helper()
	var watermark time.Time
	for _, m := range installs {
		if m.issuedAt.After(watermark) {
			watermark = m.issuedAt
		}
	}
	if !after.Watermark.Equal(watermark) {
		c.t.Errorf("got the watermark %v, want %v: that of the newest callback", after.Watermark, watermark)
	}
	newest := map[[32]byte]*message{}
	for _, m := range installs {
		if m.issuedAt.Equal(watermark) {
			newest[m.claim] = m
		}
	}
	var last *message
	for _, claim := range after.Applied {
		if last = newest[claim]; last == nil {
			c.t.Errorf("a callback is in the row twice, or was not answered yes to, or is not of the newest second")
		}
		delete(newest, claim)
	}
	for _, m := range newest {
		c.t.Errorf("%s: answered yes to, but not in the row", m)
	}
	if last != nil && after.Site.Description != last.Payload["description"] {
		c.t.Errorf("got the description %q, want that of the last one, %s", after.Site.Description, last)
	}
}

// checkActivation: the row says what the newest of enabled and disabled have said.
func (c *tenant) checkActivation(after *core.Installation, activations []*message) {
	c.t.Helper()
	var watermark time.Time
	said := map[bool]bool{}
	for _, m := range activations {
		if m.issuedAt.After(watermark) {
			watermark, said = m.issuedAt, map[bool]bool{}
		}
		if m.issuedAt.Equal(watermark) {
			said[m.Event == fakehost.Disabled] = true
		}
	}
	if !after.ActivationWatermark.Equal(watermark) || !said[after.Disabled] {
		c.t.Errorf("got disabled %v at %v, want %v at %v", after.Disabled, after.ActivationWatermark, said, watermark)
	}
}
