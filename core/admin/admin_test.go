package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
)

const (
	appKey  = "com.example.app"
	token   = "the-token-of-the-operators"
	appWide = "a secret that all sites have alike"
)

// world is an app on a server, with the calls of an operator below /admin/, and what it shares with its replicas.
type world struct {
	app    *core.App
	server *httptest.Server
	url    string
	store  *faultyStore
	keys   *fakehost.Keys
	clock  *clock
	log    *journal
	config core.Config
}

// testKeys are Atlassian's keys in all tests: to make them takes longer than most tests.
var testKeys = sync.OnceValue(func() *fakehost.Keys { return new(fakehost.Keys) })

// setup returns a fresh world. configure may change the app's configuration first.
func setup(t *testing.T, configure ...func(*core.Config)) *world {
	t.Helper()
	w := &world{
		store: &faultyStore{Store: memstore.New()},
		keys:  testKeys(),
		clock: &clock{now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)},
		log:   new(journal),
	}
	keyHost := httptest.NewServer(w.keys)
	t.Cleanup(keyHost.Close)
	w.config = core.Config{
		AppKey: appKey, Store: w.store, KeyHosts: []string{keyHost.URL}, CacheTTL: -1,
		Logger: slog.New(slog.NewTextHandler(w.log, nil)), Now: w.clock.Now,
	}
	return w.replica(t, configure...)
}

// replica returns another app on the same store.
func (w *world) replica(t *testing.T, configure ...func(*core.Config)) *world {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	other := *w
	other.server, other.url, other.config.BaseURL = server, server.URL, server.URL
	for _, change := range configure {
		change(&other.config)
	}
	other.app = newApp(t, other.config)
	httpconnect.Mount(mux, other.app)
	mux.Handle("GET /panel", httpconnect.Authenticate(other.app)(http.NotFoundHandler()))
	mux.Handle("/admin/", admin.Handler(other.app, admin.BearerToken(token)))
	return &other
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

// withAppWide configures the app-wide secret.
func withAppWide(t *testing.T) func(*core.Config) {
	t.Helper()
	secret, err := core.NewSecret(appWide)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *core.Config) { c.AppSecrets = core.StaticSecrets{secret} }
}

// install returns a site that has installed the app, with a secret of its own if none is given.
func (w *world) install(t *testing.T, clientKey string, offered ...string) *fakehost.Site {
	t.Helper()
	site, err := fakehost.New(fakehost.Config{
		App: fakehost.Descriptor{Key: appKey, BaseURL: w.url}, Keys: w.keys, Now: w.clock.Now, ClientKey: clientKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	callback := site.Callback(fakehost.Installed)
	for _, secret := range offered {
		callback.Offer(secret)
	}
	if _, err := callback.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	return site
}

// row returns the installation as it is stored, or nil.
func (w *world) row(t *testing.T, clientKey string) *core.Installation {
	t.Helper()
	row, err := w.store.Store.Get(t.Context(), core.Key{AppKey: appKey, ClientKey: clientKey})
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		t.Fatal(err)
	}
	return row
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	cut    error // before the end of the body
}

// get makes a call as an operator.
func (w *world) get(t *testing.T, target string) answer {
	t.Helper()
	return w.send(t, http.MethodGet, target, "", func(*http.Request) {})
}

// post makes a call as an operator.
func (w *world) post(t *testing.T, target, body string) answer {
	t.Helper()
	return w.send(t, http.MethodPost, target, body, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
}

// send makes a call as an operator would, but for what change does to it.
func (w *world) send(t *testing.T, method, target, body string, change func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	change(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err}
}

// want checks status and body, without the line ends.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if got := strings.ReplaceAll(a.body, "\n", ""); a.status != status || got != body || a.cut != nil {
		t.Errorf("got %d %s (%v), want %d %s", a.status, got, a.cut, status, body)
	}
}

// wantError checks that the answer is an error of the status which says the text.
func (a answer) wantError(t *testing.T, status int, text string) {
	t.Helper()
	var got struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != status || !strings.Contains(got.Error, text) {
		t.Errorf(`got %d %s, want %d {"error":"…%s…"}`, a.status, a.body, status, text)
	}
}

// read reads the answer's JSON into the value, which has a field for each member.
func (a answer) read(t *testing.T, value any) {
	t.Helper()
	if a.status != http.StatusOK || a.cut != nil {
		t.Fatalf("got %d %s (%v), want 200", a.status, a.body, a.cut)
	}
	if err := json.Unmarshal([]byte(a.body), value); err != nil {
		t.Fatalf("%v: %s", err, a.body)
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

// journal is the text of a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// lines returns those of the log that hold all the texts.
func (j *journal) lines(texts ...string) (found []string) {
	for line := range strings.Lines(j.String()) {
		holds := true
		for _, text := range texts {
			holds = holds && strings.Contains(line, text)
		}
		if holds {
			found = append(found, line)
		}
	}
	return found
}

// faultyStore fails, or panics, as long as it is told to.
type faultyStore struct {
	core.Store
	down       atomic.Bool
	panics     atomic.Bool
	unwritable atomic.Bool // by Put
}

// errDown has what must not reach a caller.
var errDown = errors.New("no answer from db.internal as user postgres")

func (s *faultyStore) fault() error {
	if s.panics.Load() {
		panic("a bug in the store, with postgres in its text")
	}
	if s.down.Load() {
		return errDown
	}
	return nil
}

func (s *faultyStore) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key)
}

func (s *faultyStore) Put(ctx context.Context, row *core.Installation) (int64, error) {
	if err := s.fault(); err != nil {
		return 0, err
	}
	if s.unwritable.Load() {
		return 0, errDown
	}
	return s.Store.Put(ctx, row)
}

func (s *faultyStore) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.Store.List(ctx, appKey, after, limit)
}

func (s *faultyStore) Revoke(ctx context.Context, revocation core.Revocation) error {
	if err := s.fault(); err != nil {
		return err
	}
	return s.Store.Revoke(ctx, revocation)
}

func (s *faultyStore) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	if err := s.fault(); err != nil {
		return nil, err
	}
	return s.Store.Revocations(ctx, appKey)
}
