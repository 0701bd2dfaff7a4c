package moves

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/qsh"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
	"gorm.io/gorm"
)

const (
	installations = 10_000
	requests      = 200 // a second, of as many sites, at either replica
	leastRequests = 40  // a second, where everything is slower
	// atMost requests are under way: of more than 64 reads at a time a replica refuses some.
	atMost = 32
	// movers walk at the same time, each over its part. So they share the waits for the disk.
	movers = 8
	// aPage is what they move in one call. A store has a second to list it.
	aPage = 100
)

func TestAFleetIsMovedAndReleasedWhileItsSitesCallAndNoneIsRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, where databases.Kind, db *gorm.DB) {
		n := runs.Scaled(installations)
		// In clear, so that a secret that is left in a row can be seen.
		store := databases.NewStore(t, db, gormstore.InsecureNoSealing())
		fill(t, store, db, n)
		replicas := []*inprocess.App{newReplica(t, store), newReplica(t, store)}
		traffic := call(t.Context(), replicas, n)

		if found := copies(t, db); found != count(n, func(k kind) bool { return k.adopts }) {
			t.Fatalf("%d rows have a copy of an app-wide secret before: this shows nothing", found)
		}
		writers := movers
		if where == databases.SQLite { // One writer is quicker than several that wait for their turn.
			writers = 1
		}
		began := time.Now()
		traffic.wait(20) // the replicas know some sites as they were
		moveAll(t, n, writers, count(n, func(k kind) bool { return k.adopts }), replicas[0].AdoptAppSecret)
		if found := copies(t, db); found > 0 {
			t.Errorf("%d rows still have a copy of an app-wide secret", found)
		}
		traffic.wait(20)
		moveAll(t, n, writers, count(n, func(k kind) bool { return k.adopts || k.binds }), replicas[0].ReleaseAppSecret)
		took := time.Since(began)
		traffic.wait(20)
		traffic.stop()
		t.Logf("%d installations to and fro in %v; %d requests, %d of them again, since the store was slow",
			n, took.Round(time.Millisecond), traffic.served.Load(), traffic.again.Load())
		if len(traffic.refusals) > 0 {
			t.Errorf("refused: %v, want no request refused", traffic.refusals)
		}
		checkReleased(t, store, n)
	})
}

// everywhere runs a test on a database of every kind. What they lose if the power goes does not matter here, and not to
// wait for the disk saves most of the time.
func everywhere(t *testing.T, test func(*testing.T, databases.Kind, *gorm.DB)) {
	t.Helper()
	for where, options := range map[databases.Kind]string{
		databases.SQLite:     "_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_txlock=immediate",
		databases.PostgreSQL: "synchronous_commit=off",
		databases.MySQL:      "",
	} {
		t.Run(string(where), func(t *testing.T) {
			t.Parallel()
			test(t, where, databases.New(t, where, options).Open(t, nil))
		})
	}
}

func newReplica(t *testing.T, store core.Store) *inprocess.App {
	t.Helper()
	app, err := inprocess.NewApp(store, func(c *core.Config) { c.AppSecrets = appSecrets })
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

// moveAll walks over all installations in as many parts as there are writers, a page a call, and goes on where a call has
// ended with an error: that the store took longer than a second may be nobody's fault.
func moveAll(t *testing.T, n, writers, want int, walk func(context.Context, core.Batch) (core.Moved, error)) {
	t.Helper()
	var moved, failed atomic.Int64
	var parts sync.WaitGroup
	for part := range writers {
		parts.Go(func() {
			for i, end := part*n/writers, (part+1)*n/writers; i < end; {
				b := core.Batch{Limit: min(aPage, end-i)}
				if i > 0 {
					b.After = clientKey(i - 1)
				}
				m, err := walk(t.Context(), b)
				moved.Add(int64(m.Moved))
				if i += m.Seen; m.Skipped > 0 || i > 0 && m.Next != clientKey(i-1) {
					t.Errorf("got %+v, want none skipped, and to go on after %s", m, clientKey(i-1))
				}
				if err != nil && (!errors.Is(err, context.DeadlineExceeded) || failed.Add(1) > 20) {
					t.Errorf("got %+v, %v", m, err)
					return
				}
			}
		})
	}
	parts.Wait()
	// A write that was told to have failed may have been done.
	if most := int(moved.Load() + failed.Load()); int(moved.Load()) > want || most < want {
		t.Errorf("%d installations were moved, and %d calls failed; want %d moved", moved.Load(), failed.Load(), want)
	}
}

// copies counts the rows in which an app-wide secret can be read.
func copies(t *testing.T, db *gorm.DB) (found int) {
	t.Helper()
	var columns []string
	if err := db.Table("hostbond_installations").Pluck("secrets", &columns).Error; err != nil {
		t.Fatal(err)
	}
	for _, column := range columns {
		for _, s := range appSecrets {
			if strings.Contains(column, base64.StdEncoding.EncodeToString([]byte(s.Reveal()))) {
				found++
				break
			}
		}
	}
	return found
}

// checkReleased checks that every installation has the secrets that it had, and each binding as a copy.
func checkReleased(t *testing.T, store core.Store, n int) {
	t.Helper()
	rows, err := store.List(t.Context(), inprocess.AppKey, "", n+1)
	if err != nil || len(rows) != n {
		t.Fatalf("got %d rows, %v, want %d", len(rows), err, n)
	}
	for i, row := range rows {
		want := installation(i)
		if kindOf(i).binds {
			want.Secrets = []core.StoredSecret{stored(newer)}
		}
		if !reflect.DeepEqual(row.Secrets, want.Secrets) || row.SecretVersion != want.SecretVersion ||
			!row.LastOffer.Equal(want.LastOffer) {
			t.Fatalf("%s: got %+v, want its secrets as they were", row.Key.ClientKey, row)
		}
	}
}

// traffic is requests of sites of the fleet, each on any replica.
type traffic struct {
	stop          func()
	answered      chan struct{} // has a receiver only in wait
	served, again atomic.Int64
	mu            sync.Mutex
	refusals      map[core.ReasonCode]int
}

// call sends requests, at a rate that does not depend on how fast they are answered, until stop is called.
func call(ctx context.Context, replicas []*inprocess.App, n int) *traffic {
	f := &traffic{answered: make(chan struct{}), refusals: map[core.ReasonCode]int{}}
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(max(leastRequests, runs.Scaled(requests))))
		defer tick.Stop()
		room := make(chan struct{}, atMost)
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			site, replica := rand.IntN(requests)*47%n, replicas[rand.IntN(len(replicas))]
			if kindOf(site).signs.IsZero() {
				continue
			}
			room <- struct{}{}
			ended.Go(func() {
				defer func() { <-room }()
				f.request(context.WithoutCancel(ctx), replica, site)
			})
		}
	})
	f.stop = sync.OnceFunc(func() {
		cancel()
		ended.Wait()
	})
	return f
}

// request sends one. If the store took longer than a second it is sent again.
func (f *traffic) request(ctx context.Context, app *inprocess.App, site int) {
	now := time.Now()
	token := &fakehost.Token{
		Header: map[string]any{"alg": "HS256", "typ": "JWT"},
		Claims: map[string]any{
			"iss": clientKey(site), "iat": now.Unix(), "exp": now.Add(3 * time.Minute).Unix(),
			"qsh": qsh.Hash(http.MethodGet, "/panel", ""),
		},
		Key: []byte(kindOf(site).signs.Reveal()),
	}
	raw, err := token.Sign()
	if err != nil {
		panic(err)
	}
	for range 5 {
		_, err = app.Authenticate(ctx, core.Request{Method: http.MethodGet, Target: "/panel", Authorization: []string{"JWT " + raw}})
		if core.Reason(err) != core.ReasonStore {
			break
		}
		f.again.Add(1)
	}
	f.served.Add(1)
	select {
	case f.answered <- struct{}{}:
	default:
	}
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.refusals[core.Reason(err)]++
	}
}

// wait waits until n more requests were answered.
func (f *traffic) wait(n int) {
	for range n {
		<-f.answered
	}
}
