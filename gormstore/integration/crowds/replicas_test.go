package crowds

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// inMemory is the column of docs/reliability.md for what no database keeps.
const inMemory = "in memory"

// opener opens a store on the database for each of two replicas.
type opener func(*testing.T, databases.Database) [2]core.Store

// everywhere runs a test on the stores of two replicas: in memory, where they share one, and on every kind of database.
func everywhere(t *testing.T, open opener, test func(t *testing.T, where string, stores [2]core.Store)) {
	t.Helper()
	t.Run(inMemory, func(t *testing.T) {
		store := memstore.New()
		test(t, inMemory, [2]core.Store{store, store})
	})
	onDatabases(t, open, test)
}

// onDatabases is everywhere without the memory.
func onDatabases(t *testing.T, open opener, test func(t *testing.T, where string, stores [2]core.Store)) {
	t.Helper()
	for _, kind := range databases.Kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, string(kind), open(t, databases.New(t, kind, ""))) })
	}
}

// connections are what a replica has to its database. The limit of the server is shared by all tests.
const connections = 16

// replicated opens them as an app does that expects a crowd: it keeps its connections. To make a new one takes a busy
// server longer than a page can wait.
func replicated(t *testing.T, database databases.Database) [2]core.Store {
	t.Helper()
	var stores [2]core.Store
	for n := range stores {
		db := database.Open(t, nil)
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		pool.SetMaxOpenConns(connections)
		pool.SetMaxIdleConns(connections)
		stores[n] = databases.NewStore(t, db, databases.Keyring())
		var open []*sql.Conn
		for range connections {
			connection, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, connection)
		}
		for _, connection := range open {
			if err := connection.Close(); err != nil { // It goes back to the pool.
				t.Fatal(err)
			}
		}
	}
	return stores
}

// replicas are two apps with one database, as behind a load balancer that chooses by lot.
type replicas struct {
	apps [2]*inprocess.App
}

// newReplicas starts an app on each store, and closes them after the test.
func newReplicas(t *testing.T, stores [2]core.Store, journal *journal, now func() time.Time) *replicas {
	t.Helper()
	r := new(replicas)
	for n, store := range stores {
		app, err := inprocess.NewApp(store, func(c *core.Config) { c.Logger, c.Now = journal.logger(), now })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := app.Close(ctx); err != nil {
				t.Errorf("replica %d does not end: %v", n, err)
			}
		})
		r.apps[n] = app
	}
	return r
}

func (r *replicas) RoundTrip(request *http.Request) (*http.Response, error) {
	return inprocess.Transport(r.apps[rand.IntN(len(r.apps))]).RoundTrip(request)
}

// clock goes as the machine's own does, and can be set ahead, so that a test need not wait until a site has settled.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) setAhead(d time.Duration) { c.ahead.Add(int64(d)) }

// atOnce calls f with each number below n, all at the same moment, and waits for all.
func atOnce(n int, f func(n int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// breathe waits a little before something is tried again: a machine that is too busy is not helped by haste. It reports
// whether there is time left.
func breathe(ctx context.Context) bool {
	select {
	case <-time.After(100 * time.Millisecond):
		return true
	case <-ctx.Done():
		return false
	}
}

// eventually waits for something that another goroutine brings about. After a failure it would perhaps wait in vain.
func eventually(ctx context.Context, t *testing.T, what string, happened func() bool) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !happened() {
		if t.Failed() {
			t.FailNow()
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%s: it has not come to that: %v", what, context.Cause(ctx))
		}
	}
}
