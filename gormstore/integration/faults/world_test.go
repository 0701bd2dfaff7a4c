package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// world is what one case plays in: a site, the replica whose store fails, and the store below. It stands in a bubble, so
// that its clock moves only when everybody is waiting, and begins at the same time in each case.
type world struct {
	t        *testing.T
	flow     *flow
	appKey   string // of this case alone, so that cases share a database
	ledger   *ledger
	saboteur *saboteur
	journal  *journal
	wire     *wire

	app      *inprocess.App // the replica under test
	site     *fakehost.Site
	imported *fakehost.Site // the site after an import, where there was one
	leaked   string         // a secret that the site had before
	changes  atomic.Int32   // that the app was told of
	began    time.Time      // when the last attempt began
	answered atomic.Bool

	rows      map[core.Key]*core.Installation // as they were at the last look; nil if there was none
	overtaken map[core.Key]bool               // rows that another replica has written
}

// pause is longer than the cache's TTL and than any store call may take, and no secret settles in it.
const pause = 6 * time.Second

func newWorld(t *testing.T, f *flow, store core.Store, appKey string) *world {
	t.Helper()
	journal := new(journal)
	w := &world{t: t, flow: f, appKey: appKey, journal: journal, wire: newWire(journal)}
	w.ledger = &ledger{Store: store, t: t, sent: w.wire.sent}
	w.ledger.open()
	w.saboteur = &saboteur{overtake: w.overtake, answered: w.answered.Load}
	w.app = w.replica(conducted{w.ledger, w.saboteur.conduct})
	// From the flow's name, so that two cases of a flow differ in nothing but the fault.
	w.site = w.newSite(f.name, f.symmetric)

	earlier := w.replica(w.ledger)
	w.wire.connect(earlier)
	f.prepare(w)
	w.settle()
	w.close(earlier)
	w.wire.connect(w.app)
	if f.warm != nil {
		f.warm(w)
	}
	// The next callback, half a second later, is of another second than this one.
	w.pass(500 * time.Millisecond)
	return w
}

// replica returns another replica on the store.
func (w *world) replica(store core.Store) *inprocess.App {
	w.t.Helper()
	app, err := inprocess.NewApp(store, func(c *core.Config) {
		c.AppKey = w.appKey
		c.SymmetricInstalls, c.InsecureUnsignedFirstInstall = w.flow.symmetric, w.flow.symmetric
		c.Logger = slog.New(slog.NewJSONHandler(w.journal, nil))
		c.OnChange = func(_ context.Context, change core.Change) {
			w.changes.Add(1)
			fmt.Fprintf(w.journal, "%+v %+v %+v\n", change, change.Before, change.After)
		}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

// close ends a replica. That it can be ended shows that nothing hangs in it.
func (w *world) close(app *inprocess.App) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := app.Close(ctx); err != nil {
		w.t.Errorf("the app could not be closed: %v", err)
	}
}

func (w *world) newSite(seed string, symmetric bool) *fakehost.Site {
	w.t.Helper()
	site, err := fakehost.New(fakehost.Config{
		App:    fakehost.Descriptor{Key: w.appKey, BaseURL: inprocess.BaseURL, Symmetric: symmetric},
		Keys:   inprocess.Keys,
		Seed:   seed,
		Client: &http.Client{Transport: w.wire},
		// The site's own would name the app, and so differ in each case.
		Payload: map[string]any{"oauthClientId": "an OAuth client"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return site
}

// pass lets time go by, and everybody do what they have to do by then.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// settle waits until nothing of what was begun is under way, and nothing that was read is still believed.
func (w *world) settle() { w.pass(pause) }

func (w *world) key(site *fakehost.Site) core.Key {
	return core.Key{AppKey: w.appKey, ClientKey: site.ClientKey()}
}

// acting returns the site whose bond is at stake.
func (w *world) acting() *fakehost.Site {
	if w.imported != nil {
		return w.imported
	}
	return w.site
}

// keys are the rows that the flow may touch.
func (w *world) keys() []core.Key {
	if w.imported != nil {
		return []core.Key{w.key(w.imported), w.key(w.site)}
	}
	return []core.Key{w.key(w.site)}
}

// look reads the rows as they are now.
func (w *world) look() {
	w.t.Helper()
	w.rows = map[core.Key]*core.Installation{}
	for _, key := range w.keys() {
		w.rows[key] = w.row(key)
	}
}

// row reads the row as it is in the store, nil if there is none.
func (w *world) row(key core.Key) *core.Installation {
	w.t.Helper()
	row, err := w.ledger.Get(context.Background(), key)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		w.t.Fatal(err)
	}
	return row
}

// elsewhere runs f with another replica, whose store is sound, on which it finds what a fresh reader finds.
func (w *world) elsewhere(store core.Store, f func(*inprocess.App)) {
	w.t.Helper()
	app := w.replica(store)
	defer w.close(app)
	f(app)
}
