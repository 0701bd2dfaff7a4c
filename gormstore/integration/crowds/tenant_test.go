package crowds

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

const (
	crowd  = 64 // callbacks at the same moment
	rounds = 16
	// hastyRounds are those in which an offered secret is used while the crowd is there. A replica that does not know it
	// reads the row for its sake, but once a second at most, so these rounds take long.
	hastyRounds = 4
	// roundLimit is far more than a round takes. A round that is not over by then never will be.
	roundLimit = time.Minute
)

// Replicas, retries of a proxy and replays of a thief can bring callbacks of one tenant at the same moment. Whatever the
// app answers, what it has answered yes to is in the row, and what it has answered no to is not.
func TestOfACrowdOfCallbacksThoseThatWereAnsweredAreInTheRow(t *testing.T) {
	seed := runs.Seed(t)
	everywhere(t, replicated, func(t *testing.T, where string, stores [2]core.Store) {
		t.Parallel()
		tenant := newTenant(t, stores, rand.New(rand.NewPCG(seed, 0)))
		posted := 0
		for round := range max(4, runs.Scaled(rounds)) {
			// The iats lie within so many seconds: those of one second are all applied, of others most are too old.
			within := []time.Duration{0, time.Second, 3 * time.Second, 25 * time.Second}[round%4]
			messages := tenant.compose(within)
			before := tenant.row()
			tenant.commits.forget()
			tenant.deliver(messages, round < hastyRounds)
			tenant.check(before, messages)
			if t.Failed() {
				t.Fatalf("round %d, with iats within %v", round, within)
			}
			tenant.settle()
			posted += crowd
		}
		tenant.journal.check(t, "stale", "secrets_full")
		t.Logf("%d callbacks and %d pages; %d commits, and %d that may have happened; refused: %s",
			posted, tenant.pages.Load(), tenant.committed, tenant.unknown, tenant.journal.refusals())
		runs.Documented(t, "callbacks of one tenant, 64 at a time", where, posted)
	})
}

// compose makes a crowd of callbacks: rotations, updates that bring no secret, enabled and disabled. Of two there are
// many copies.
func (c *tenant) compose(within time.Duration) []*message {
	c.t.Helper()
	var messages []*message
	add := func(n, copies int, event fakehost.Event, change func(*fakehost.Callback)) {
		for range n {
			callback := c.site.Callback(event)
			change(callback)
			messages = append(messages, c.sign(callback, copies, within))
		}
	}
	asItComes := func(*fakehost.Callback) {}
	withoutSecret := func(callback *fakehost.Callback) { callback.OfferNothing() }
	add(11, 1, fakehost.Installed, asItComes)
	add(1, 12, fakehost.Installed, asItComes)
	add(8, 1, fakehost.Installed, withoutSecret)
	add(1, 12, fakehost.Installed, withoutSecret)
	add(10, 1, fakehost.Enabled, asItComes)
	add(11, 1, fakehost.Disabled, asItComes)
	return messages
}

// deliver posts all copies of all messages at the same moment, while pages are loaded. A secret that was answered yes to
// is then used for another page, on whatever replica: in haste at once, or else when the crowd has gone.
func (c *tenant) deliver(messages []*message, hasty bool) {
	c.t.Helper()
	var posts []func(context.Context)
	for _, m := range messages {
		for range m.copies {
			posts = append(posts, func(ctx context.Context) {
				status := c.post(ctx, m)
				if hasty && status == 204 && m.secret() != "" {
					c.page(ctx, m.secret(), "that was just answered yes to")
				}
			})
		}
	}
	if len(posts) != crowd {
		c.t.Fatalf("got a crowd of %d, want %d", len(posts), crowd)
	}
	for range 16 {
		posts = append(posts, func(ctx context.Context) { c.page(ctx, c.live, "that the site settled on before") })
	}
	c.random.Shuffle(len(posts), func(i, j int) { posts[i], posts[j] = posts[j], posts[i] })
	ctx, cancel := context.WithTimeout(c.t.Context(), roundLimit)
	defer cancel()
	atOnce(len(posts), func(n int) { posts[n](ctx) })

	c.clock.setAhead(time.Second)
	for _, m := range messages {
		if m.accepted() && m.secret() != "" {
			c.page(ctx, m.secret(), "that was answered yes to")
		}
	}
}

// settle lets the site use its newest secret until the others are retired, so that the row has room for the next crowd.
func (c *tenant) settle() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), roundLimit)
	defer cancel()
	newest := c.row().Newest()
	c.live = c.secrets[newest]
	for _, proof := range []struct {
		what string
		done func(*core.Installation) bool
	}{
		{"the site's first token on its newest secret", func(row *core.Installation) bool { return row.Run.Fingerprint == newest }},
		{"its second, a while later", func(row *core.Installation) bool { return len(usable(row)) == 1 }},
	} {
		c.clock.setAhead(settle + 30*time.Second) // the last offer may be dated ahead
		eventually(ctx, c.t, proof.what, func() bool {
			c.page(ctx, c.live, "that the site settles on")
			return proof.done(c.row())
		})
	}
	for _, secret := range c.row().Secrets {
		if secret.Fingerprint != newest && (secret.State != core.Retired || !secret.Value.IsZero()) {
			c.t.Errorf("secret %s, which the site left behind, is %s and erased: %v", secret.Fingerprint.Short(), secret.State, secret.Value.IsZero())
		}
	}
}

// page loads a page with one of the tenant's secrets, and fails the test if it is refused. If the machine is too busy for
// it, the page is loaded again.
func (c *tenant) page(ctx context.Context, secret, which string) {
	token := c.site.Token("GET", "/panel")
	token.Key = []byte(secret)
	answer, err := c.site.Do(ctx, "GET", "/panel", token, nil)
	for err == nil && answer.StatusCode == 503 && breathe(ctx) {
		answer, err = c.site.Do(ctx, "GET", "/panel", token, nil)
	}
	c.pages.Add(1)
	if err != nil || answer.StatusCode != 200 {
		c.t.Errorf("a page with the secret %s: got status %d, %v, want 200; %s",
			which, answer.StatusCode, err, c.journal.why(answer))
	}
}

// usable returns the fingerprints of the secrets that verify requests.
func usable(row *core.Installation) []core.Fingerprint {
	var list []core.Fingerprint
	for _, secret := range row.Secrets {
		if secret.State == core.Usable {
			list = append(list, secret.Fingerprint)
		}
	}
	return list
}

// row reads the tenant's row, past the apps.
func (c *tenant) row() *core.Installation {
	c.t.Helper()
	row, err := c.store.Get(c.t.Context(), core.Key{AppKey: inprocess.AppKey, ClientKey: c.site.ClientKey()})
	if err != nil {
		c.t.Fatalf("the tenant's row: %v", err)
	}
	return row
}
