package requirements

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// The defaults of core.Config.
const (
	settle   = 15 * time.Minute
	cacheTTL = 5 * time.Second
)

const (
	second = time.Second
	day    = 24 * time.Hour
)

// options of SQLite are those that gormstore recommends, but for the wait for the disk: nobody turns the power off here.
const options = "_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_txlock=immediate"

// world is an app on its database, and the clock of everybody.
type world struct {
	*testing.T
	open  func() core.Store // connects to the database
	store core.Store        // of the operator, beside those of the replicas
	app   *replica          // where the load balancer sends requests that say nothing else
	log   *journal
	sites int

	mu      sync.Mutex
	changes []core.Change       // as OnChange told them
	secrets []core.SecretChange // as OnSecretChanged told them
}

// replica is a process of the app.
type replica struct {
	*core.App
	http.Handler
	stop func()
}

// play plays a story in a bubble, where time stands still unless the story lets it pass. The app has one replica, which
// is configured as said.
func play(t *testing.T, story func(w *world), configure ...func(*core.Config)) {
	t.Helper()
	t.Parallel()
	playAlone(t, story, configure...)
}

// playAlone is play for a test that shares the process with no other.
func playAlone(t *testing.T, story func(w *world), configure ...func(*core.Config)) {
	t.Helper()
	playOn(t, onSQLite, story, configure...)
}

// playOn is playAlone on another database. open returns how to connect to a new one.
func playOn(t *testing.T, open func(*testing.T) func() core.Store, story func(w *world), configure ...func(*core.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, open: open(t), log: newJournal()}
		w.store = w.open()
		w.app = w.replica(configure...)
		story(w)
	})
}

func onSQLite(t *testing.T) func() core.Store {
	database := databases.New(t, databases.SQLite, options)
	return func() core.Store { return &onDisk{database.Store(t), database} }
}

// onDisk is a store that knows where its tables are.
type onDisk struct {
	*gormstore.Store
	databases.Database
}

func inMemory(*testing.T) func() core.Store {
	store := memstore.New()
	return func() core.Store { return store }
}

// replica starts a process of the app on the world's database. It stops with the test.
func (w *world) replica(configure ...func(*core.Config)) *replica {
	w.Helper()
	app, err := inprocess.NewApp(w.open(), slices.Concat([]func(*core.Config){w.observed}, configure)...)
	if err != nil {
		w.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.Handle("/api/me", httpconnect.Authenticate(app.App, core.ContextToken)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, httpconnect.Principal(r).ClientKey)
		})))
	stop := sync.OnceFunc(func() {
		if err := app.Close(context.Background()); err != nil {
			w.Errorf("the app could not be closed: %v", err)
		}
	})
	w.Cleanup(stop)
	return &replica{app.App, mux, stop}
}

// observed has the app tell what it does.
func (w *world) observed(c *core.Config) {
	c.Logger = slog.New(slog.NewJSONHandler(w.log, nil))
	c.OnChange = func(_ context.Context, change core.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, change)
	}
	c.OnSecretChanged = func(_ context.Context, change core.SecretChange) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.secrets = append(w.secrets, change)
	}
}

// deploy ends the app's one process, and starts another that is configured as said.
func (w *world) deploy(configure ...func(*core.Config)) {
	w.Helper()
	w.app.stop()
	w.app = w.replica(configure...)
}

// symmetric configures an app of the protocol before signed installs: sites sign installs with their own secret, and the
// first one not at all.
func symmetric(c *core.Config) { c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = true, true }

// appWide configures app-wide secrets, the newest first.
func appWide(values ...string) func(*core.Config) {
	var secrets core.StaticSecrets
	for _, value := range values {
		secrets = append(secrets, secret(value))
	}
	return func(c *core.Config) { c.AppSecrets = secrets }
}

// pass lets time go by on every clock, to the full second, and waits until nothing is under way.
func (w *world) pass(d time.Duration) {
	then := time.Now().Add(d).Truncate(second)
	time.Sleep(time.Until(then)) //nolint:forbidigo // in a bubble it takes no time, and moves the clock
	synctest.Wait()
}

type chosen struct{}

// on returns a context for requests that the load balancer sends to a replica.
func (w *world) on(r *replica) context.Context { return context.WithValue(w.Context(), chosen{}, r) }

// RoundTrip is the load balancer.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	to, ok := r.Context().Value(chosen{}).(*replica)
	if !ok {
		to = w.app
	}
	return inprocess.Transport(to).RoundTrip(r)
}

// told returns what the hooks were told since it was last asked.
func (w *world) told() ([]core.Change, []core.SecretChange) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	changes, secrets := w.changes, w.secrets
	w.changes, w.secrets = nil, nil
	return changes, secrets
}

// change returns the one change that OnChange was told since it was last asked. It fails the test if there were more, or
// none.
func (w *world) change() core.Change {
	w.Helper()
	changes, _ := w.told()
	if len(changes) != 1 {
		w.Fatalf("got changes %+v, want one", changes)
	}
	return changes[0]
}

// rows returns every installation, as the database has it once nothing is under way, by client key.
func (w *world) rows() map[string]*core.Installation {
	w.Helper()
	synctest.Wait()
	list, err := w.store.List(w.Context(), inprocess.AppKey, "", 100_000)
	if err != nil {
		w.Fatal(err)
	}
	rows := map[string]*core.Installation{}
	for _, row := range list {
		rows[row.Key.ClientKey] = row
	}
	return rows
}

// dump returns all that is in the database, as text.
func (w *world) dump() string {
	w.Helper()
	synctest.Wait()
	db := w.store.(*onDisk).Open(w.T, nil)
	var text strings.Builder
	for _, table := range []string{"hostbond_installations", "hostbond_claims", "hostbond_revocations"} {
		var rows []map[string]any
		if err := db.Table(table).Order("1, 2, 3").Find(&rows).Error; err != nil {
			w.Fatal(err)
		}
		for _, row := range rows {
			fmt.Fprintln(&text, table, row)
		}
	}
	return text.String()
}

// brokenStore is a store that may fail to write.
type brokenStore struct {
	core.Store
	noPut, noDelete atomic.Bool
}

var errBroken = errors.New("the database is down")

// Put writes, or fails.
func (s *brokenStore) Put(ctx context.Context, row *core.Installation) (int64, error) {
	if s.noPut.Load() {
		return 0, errBroken
	}
	return s.Store.Put(ctx, row)
}

// Delete deletes, or fails.
func (s *brokenStore) Delete(ctx context.Context, key core.Key, revision int64) error {
	if s.noDelete.Load() {
		return errBroken
	}
	return s.Store.Delete(ctx, key, revision)
}

// journal is what the app logs.
type journal struct {
	mu      sync.Mutex
	text    bytes.Buffer
	refused map[string]line // by correlation id
}

func newJournal() *journal { return &journal{refused: map[string]line{}} }

// line is what the tests look at of a line.
type line struct {
	Message       string          `json:"msg"`
	Reason        core.ReasonCode `json:"reason"`
	CorrelationID string          `json:"correlation_id"`
	ClientKey     string          `json:"client_key"`
	Outcome       core.Outcome    `json:"outcome"`
}

// Write takes a line of JSON.
func (j *journal) Write(text []byte) (int, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return 0, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if l.CorrelationID != "" {
		j.refused[l.CorrelationID] = l
	}
	return j.text.Write(text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// reason returns why the app refused, as an operator finds it: by the correlation id that the caller got.
func (j *journal) reason(correlationID string) core.ReasonCode {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.refused[correlationID].Reason
}

// lines returns what was logged of a tenant.
func (j *journal) lines(clientKey string) (lines []line) {
	for text := range strings.Lines(j.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			panic(err)
		}
		if l.ClientKey == clientKey {
			lines = append(lines, l)
		}
	}
	return lines
}
