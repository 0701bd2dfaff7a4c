package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
)

const appKey = "com.example.app"

// bundle is an app behind a real server, a site that talks to it, and a clock that both go by.
type bundle struct {
	app     *core.App
	store   *faultyStore
	keys    *fakehost.Keys
	site    *fakehost.Site
	clock   *clock
	log     *journal
	server  *httptest.Server
	keyHost *httptest.Server
	served  atomic.Int32 // requests that reached a handler of the app
}

// testKeys are Atlassian's keys in all tests: to make them takes longer than most tests.
var testKeys = sync.OnceValue(func() *fakehost.Keys { return new(fakehost.Keys) })

// setup returns a fresh bundle. configure may change the app's configuration first.
func setup(t *testing.T, configure ...func(*core.Config)) *bundle {
	t.Helper()
	b := &bundle{
		store: &faultyStore{Store: memstore.New()},
		keys:  testKeys(),
		clock: &clock{now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)},
		log:   new(journal),
	}
	b.keyHost = httptest.NewServer(b.keys)
	t.Cleanup(b.keyHost.Close)
	mux := http.NewServeMux()
	b.server = httptest.NewServer(mux)
	t.Cleanup(b.server.Close)

	config := core.Config{
		AppKey: appKey, BaseURL: b.server.URL, Store: b.store, KeyHosts: []string{b.keyHost.URL},
		Logger: slog.New(b.log), Now: b.clock.Now,
	}
	for _, change := range configure {
		change(&config)
	}
	b.app = newApp(t, config)
	httpconnect.Mount(mux, b.app)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.served.Add(1)
		fmt.Fprint(w, httpconnect.Principal(r).ClientKey, " ", httpconnect.Principal(r).AccountID)
	})
	mux.Handle("/panel", httpconnect.Authenticate(b.app)(page))
	mux.Handle("/api", httpconnect.Authenticate(b.app, core.ContextToken)(page))
	b.site = b.newSite(t, fakehost.Config{App: fakehost.Descriptor{Symmetric: config.SymmetricInstalls}})
	return b
}

func newApp(t *testing.T, config core.Config) *core.App {
	t.Helper()
	app, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return app
}

// newSite returns another site of the bundle's app.
func (b *bundle) newSite(t *testing.T, config fakehost.Config) *fakehost.Site {
	t.Helper()
	config.App.Key, config.App.BaseURL = appKey, b.server.URL
	config.Keys, config.Now = b.keys, b.clock.Now
	site, err := fakehost.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func (b *bundle) install(t *testing.T) {
	t.Helper()
	if _, err := b.site.Install(t.Context()); err != nil {
		t.Fatalf("install: %v; the app says %s", err, b.log.reason())
	}
	b.clock.advance(time.Second)
}

// row returns the site's installation, without what Touch writes.
func (b *bundle) row(t *testing.T) *core.Installation {
	t.Helper()
	return b.rowOf(t, b.site)
}

func (b *bundle) rowOf(t *testing.T, site *fakehost.Site) *core.Installation {
	t.Helper()
	row, err := b.store.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: site.ClientKey()})
	if errors.Is(err, core.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	row.Activity = core.Activity{}
	return row
}

// page loads the panel as the site makes it now.
func (b *bundle) page(t *testing.T) fakehost.Answer {
	t.Helper()
	answer, err := b.site.Get(t.Context(), "/panel?issue=HB-1")
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (b *bundle) wantPage(t *testing.T, status int, reason core.ReasonCode) {
	t.Helper()
	b.log.clear()
	if answer := b.page(t); answer.StatusCode != status || b.log.reason() != reason {
		t.Errorf("page: got %d %q, want %d %q", answer.StatusCode, b.log.reason(), status, reason)
	}
}

// post posts the callback as anybody could.
func (b *bundle) post(t *testing.T, c *fakehost.Callback) int {
	t.Helper()
	b.log.clear()
	answer, err := c.Post(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

// wantRefused posts the callback, which must get the status for the reason and leave the row as it is.
func (b *bundle) wantRefused(t *testing.T, c *fakehost.Callback, status int, reason core.ReasonCode) {
	t.Helper()
	before := b.row(t)
	if got := b.post(t, c); got != status || b.log.reason() != reason {
		t.Errorf("got %d %q, want %d %q", got, b.log.reason(), status, reason)
	}
	if after := b.row(t); !reflect.DeepEqual(before, after) {
		t.Errorf("the refused callback changed the row:\nbefore %+v\nafter  %+v", before, after)
	}
}

// recorded lets the recorder finish what earlier requests have given it to do.
func (b *bundle) recorded(t *testing.T) {
	t.Helper()
	if err := core.Flush(t.Context(), b.app); err != nil {
		t.Fatal(err)
	}
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// journal is a log that remembers the last reason and all of its text.
type journal struct {
	mu   sync.Mutex
	last core.ReasonCode
	text bytes.Buffer
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintln(&j.text, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintln(&j.text, "  ", a)
		if a.Key == "reason" {
			j.last = core.ReasonCode(a.Value.String())
		}
		return true
	})
	return nil
}

// note adds what an app may log of its own.
func (j *journal) note(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintln(&j.text, text)
}

func (j *journal) reason() core.ReasonCode {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = ""
	j.text.Reset()
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// faultyStore fails as long as it is told to, and counts what it is asked.
type faultyStore struct {
	core.Store
	down       atomic.Bool
	panics     atomic.Bool  // in place of any answer
	unwritable atomic.Bool  // by Put; claims are still taken
	unheard    atomic.Bool  // the next Put is done, and its answer lost
	slow       atomic.Int64 // nanoseconds that a read takes, if the context allows
	gets       atomic.Int32
	failed     atomic.Int32 // calls while it was down
	puts       atomic.Int32
	touches    atomic.Int32
	before     atomic.Pointer[func()] // runs once between a read and the Put after it
}

var errDown = errors.New("the store is down")

func (s *faultyStore) isDown() bool {
	if s.down.Load() {
		s.failed.Add(1)
	}
	return s.down.Load()
}

func (s *faultyStore) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	s.gets.Add(1)
	if s.panics.Load() {
		panic("in the store")
	}
	if s.isDown() {
		return nil, errDown
	}
	if d := s.slow.Load(); d > 0 {
		select {
		case <-time.After(time.Duration(d)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.Get(ctx, key)
}

func (s *faultyStore) Put(ctx context.Context, row *core.Installation) (int64, error) {
	s.puts.Add(1)
	if s.isDown() || s.unwritable.Load() {
		return 0, errDown
	}
	if f := s.before.Swap(nil); f != nil {
		(*f)()
	}
	revision, err := s.Store.Put(ctx, row)
	if s.unheard.CompareAndSwap(true, false) {
		return 0, errDown
	}
	return revision, err
}

func (s *faultyStore) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	if s.panics.Load() {
		panic("in the store")
	}
	if s.isDown() {
		return core.Claim{}, errDown
	}
	return s.Store.Claim(ctx, claim)
}

func (s *faultyStore) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	if s.isDown() {
		return nil, errDown
	}
	return s.Store.Revocations(ctx, appKey)
}

func (s *faultyStore) Revoke(ctx context.Context, revocation core.Revocation) error {
	if s.isDown() {
		return errDown
	}
	return s.Store.Revoke(ctx, revocation)
}

func (s *faultyStore) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	if s.isDown() {
		return errDown
	}
	s.touches.Add(1)
	return s.Store.Touch(ctx, key, activity)
}

func (s *faultyStore) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	if s.isDown() {
		return nil, errDown
	}
	return s.Store.Bindings(ctx, appKey)
}

func (s *faultyStore) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if s.isDown() {
		return nil, errDown
	}
	return s.Store.List(ctx, appKey, after, limit)
}

// install puts a row with the secret into the store, as if the site had installed the app and used it.
func (s *faultyStore) install(t *testing.T, clientKey, secret string) {
	t.Helper()
	value, err := core.NewSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	key := core.Key{AppKey: appKey, ClientKey: clientKey}
	_, err = s.Put(t.Context(), &core.Installation{
		Key: key, State: core.Installed, Signing: core.SignedRS256,
		Secrets: []core.StoredSecret{{Fingerprint: value.Fingerprint(), State: core.Usable, Value: value}},
	})
	if err != nil {
		t.Fatal(err)
	}
	used := core.Activity{FirstUsed: value.Fingerprint(), FirstUsedAt: time.Now()}
	if err := s.Store.Touch(t.Context(), key, used); err != nil {
		t.Fatal(err)
	}
}
