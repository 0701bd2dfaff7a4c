package crowds

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// settle is the app's default. The clock is set ahead by it.
const settle = 15 * time.Minute

// tenant is one site on two replicas. Callbacks are made in its name and posted past it, so that many can be under way.
type tenant struct {
	t       *testing.T
	random  *rand.Rand
	clock   *clock
	site    *fakehost.Site
	store   core.Store // to look at the row
	commits *commits
	journal *journal
	pages   atomic.Int64

	live    string                      // what pages, enabled and disabled are signed with
	secrets map[core.Fingerprint]string // all that were ever made
	made    int                         // messages

	committed, unknown int64 // in all rounds that were checked
}

func newTenant(t *testing.T, stores [2]core.Store, random *rand.Rand) *tenant {
	t.Helper()
	c := &tenant{
		t: t, random: random, clock: new(clock), store: stores[0], commits: new(commits), journal: newJournal(),
		secrets: map[core.Fingerprint]string{},
	}
	replicas := newReplicas(t, [2]core.Store{counting{stores[0], c.commits}, counting{stores[1], c.commits}}, c.journal, c.clock.now)
	site, err := inprocess.NewSite(replicas, fakehost.Config{Now: c.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.site, c.live = site, site.Secret()
	c.secrets[fingerprint(c.live)] = c.live

	// A row that is full takes no further secret of a site that is known to be alive.
	ctx, cancel := context.WithTimeout(t.Context(), roundLimit)
	defer cancel()
	eventually(ctx, t, "the site's first page is recorded", func() bool {
		c.page(ctx, c.live, "that was just installed")
		return !c.row().Activity.SeenAt.IsZero()
	})
	c.clock.setAhead(time.Minute) // and so past the install, which is applied
	return c
}

// message is a callback that is ready to be posted, any number of times.
type message struct {
	*fakehost.Callback
	copies   int
	issuedAt time.Time
	claim    [32]byte

	mu       sync.Mutex
	answered map[int]int // copies by status
}

// sign makes a message of the callback, which is issued at about this time.
func (c *tenant) sign(callback *fakehost.Callback, copies int, within time.Duration) *message {
	c.t.Helper()
	c.made++
	// Up to two fifths of the span lie ahead, since a site's clock may be fast.
	ago := time.Duration(c.random.Int64N(int64(within)+1)) - within*2/5
	issuedAt := c.clock.now().Add(-ago).Truncate(time.Second)
	callback.Payload["description"] = fmt.Sprintf("as message %d has it", c.made)
	callback.Token.Claims["iat"] = issuedAt.Unix()
	if callback.Event == fakehost.Enabled || callback.Event == fakehost.Disabled {
		callback.Token.Key = []byte(c.live)
	}
	token, err := callback.Token.Sign()
	if err != nil {
		c.t.Fatal(err)
	}
	callback.Token = nil
	callback.Header.Set("Authorization", "JWT "+token)
	m := &message{
		Callback: callback, copies: copies, issuedAt: issuedAt.UTC(),
		claim: sha256.Sum256([]byte(token[:strings.LastIndex(token, ".")])), answered: map[int]int{},
	}
	if secret := m.secret(); secret != "" {
		c.secrets[fingerprint(secret)] = secret
	}
	return m
}

// post posts one copy, notes the answer and returns its status.
func (c *tenant) post(ctx context.Context, m *message) int {
	answer, err := m.Post(ctx)
	if err != nil {
		c.t.Errorf("%s: got %v, want an answer: the app has come to a standstill", m, err)
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answered[answer.StatusCode]++
	if status := answer.StatusCode; status != 204 && status != 409 && status != 503 {
		c.t.Errorf("%s: got status %d, want 204, 409 or 503; %s", m, status, c.journal.why(answer))
	}
	return answer.StatusCode
}

// secret returns what the message offers, if anything.
func (m *message) secret() string {
	secret, _ := m.Payload["sharedSecret"].(string)
	return secret
}

// accepted reports whether any copy was answered yes to.
func (m *message) accepted() bool { return m.answered[204] > 0 }

func (m *message) String() string {
	return fmt.Sprintf("%s %q of %s", m.Event, m.Payload["description"], m.issuedAt.Format(time.TimeOnly))
}

func fingerprint(secret string) core.Fingerprint {
	s, err := core.NewSecret(secret)
	if err != nil {
		panic(err) // a site makes longer ones
	}
	return s.Fingerprint()
}

// commits counts what was written.
type commits struct {
	done    atomic.Int64
	unknown atomic.Int64 // the store did not say
}

func (c *commits) forget() {
	c.done.Store(0)
	c.unknown.Store(0)
}

// counting is a store that counts its commits.
type counting struct {
	core.Store
	*commits
}

func (s counting) Put(ctx context.Context, row *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, row)
	switch {
	case err == nil:
		s.done.Add(1)
	case !errors.Is(err, core.ErrConflict):
		s.unknown.Add(1)
	}
	return revision, err
}
