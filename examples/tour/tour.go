package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

const (
	// pause between two steps is longer than Config.CacheTTL, so that each finds the app as other replicas know it.
	pause = 10 * time.Second
	// patience is how long the app may take to write down what a request has shown. It does so after the answer.
	patience = 5 * time.Second
)

// tour plays a story, and prints and checks each step of it.
type tour struct {
	out     io.Writer
	site    *fakehost.Site
	store   core.Store
	appKey  string
	clock   *clock
	journal *journal
}

const (
	heading = "     clock     answer  secret        usable\n"
	line    = "%2d.  %s  %-6s  %x  %6d  %s\n"
)

// play plays the steps, up to the first that does not go as it should.
func (t *tour) play(ctx context.Context, steps []step) error {
	_, _ = fmt.Fprint(t.out, "A Jira site, which is played, and an app on Gin and SQLite. Nothing leaves this machine.\n\n", heading)
	for n, s := range steps {
		if err := t.step(ctx, n+1, s); err != nil {
			return fmt.Errorf("step %d did not go as it should: %w\n\nThe app's log:\n%s", n+1, err, t.journal)
		}
	}
	_, _ = fmt.Fprintf(t.out, "\nAll %d steps went as they should.\n\n%s", len(steps), legend)
	return nil
}

const legend = `answer   the app's to Jira; of a refusal the reason stands in the app's log, and the caller never learns it
secret   the fingerprint of the shared secret that Jira signs with
usable   how many secrets the app accepts: those that Jira may be on, for all the app can know. One that Jira
         was offered but never used stays for 30 days.
`

func (t *tour) step(ctx context.Context, n int, s step) error {
	t.clock.move(cmp.Or(s.later, pause))
	t.journal.forgetReason()
	before := t.site.Secret()
	answer, err := s.do(ctx)
	if err != nil && !errors.Is(err, fakehost.ErrRefused) && !errors.Is(err, fakehost.ErrNoAnswer) {
		return err
	}
	got := outcome{
		answer:    answer.StatusCode,
		reason:    t.journal.lastReason(),
		newSecret: t.site.Secret() != before,
	}
	if got.usable, got.noted, err = t.await(ctx, s.want); err != nil {
		return err
	}
	t.print(n, s, got)
	if got != s.want {
		return fmt.Errorf("got %+v, want %+v", got, s.want)
	}
	return nil
}

func (t *tour) print(n int, s step, got outcome) {
	answer, secret, what := strconv.Itoa(got.answer), t.site.Secret(), s.what
	if got.answer == lost {
		answer = "lost"
	}
	if s.secret != nil {
		secret = s.secret()
	}
	if got.reason != "" {
		what += " [" + string(got.reason) + "]"
	}
	fingerprint := sha256.Sum256([]byte(secret))
	_, _ = fmt.Fprintf(t.out, line, n, t.clock, answer, fingerprint[:6], got.usable, what)
}

// await returns how many secrets the app accepts, and whether it has noted which one the site signs with, as soon as
// that is what is wanted, or when patience ends.
func (t *tour) await(ctx context.Context, want outcome) (usable int, noted bool, err error) {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		row, err := t.store.Get(ctx, core.Key{AppKey: t.appKey, ClientKey: t.site.ClientKey()})
		if err != nil {
			return 0, false, err
		}
		usable, noted = countUsable(row), string(row.Run.Fingerprint) == t.site.Fingerprint()
		if usable == want.usable && noted == want.noted {
			return usable, noted, nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return usable, noted, nil
		}
	}
}

func countUsable(row *core.Installation) (n int) {
	for _, secret := range row.Secrets {
		if secret.State == core.Usable {
			n++
		}
	}
	return n
}
