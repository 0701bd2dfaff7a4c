package replicas

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
)

// The defaults of core.Config.
const (
	cacheTTL = 5 * time.Second
	maxStale = time.Minute
	settle   = 15 * time.Minute
)

const (
	// aMoment is longer than a replica pauses between two reads of a tenant, so that nobody waits, and much shorter than
	// cacheTTL, so that what was read before is still believed.
	aMoment = 1100 * time.Millisecond
	// patience is how long a replica may answer 503 for want of a fast machine.
	patience = 30 * time.Second
)

// Each replica is a copy of this program.
func TestMain(m *testing.M) {
	process.Main()
	m.Run()
}

// fleet is three replicas on one database.
type fleet struct {
	t        *testing.T
	clock    process.Clock // everybody's
	store    *gormstore.Store
	line     *line // from the replicas to the database; the store does not use it
	replicas [3]*process.Child
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	database := databases.New(t, databases.PostgreSQL, "")
	f := &fleet{t: t, store: database.Store(t)}
	f.line, database = newLine(t, database)
	keyHost := process.KeyHost(t)
	for n := range f.replicas {
		f.replicas[n] = process.Start(t, process.Config{Database: database, KeyHost: keyHost})
	}
	return f
}

// newSite returns a site that has not installed the app.
func (f *fleet) newSite() *fakehost.Site {
	f.t.Helper()
	return process.NewSite(f.t, f, &f.clock, "")
}

// installed returns a site that has installed the app by way of a replica.
func (f *fleet) installed(replica int) *fakehost.Site {
	f.t.Helper()
	site := f.newSite()
	f.takes(replica, site.Install)
	return site
}

type chosen struct{}

// on returns a context for requests that the load balancer sends to a replica.
func (f *fleet) on(replica int) context.Context {
	return context.WithValue(f.t.Context(), chosen{}, replica)
}

// RoundTrip is the load balancer.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	return f.replicas[r.Context().Value(chosen{}).(int)].RoundTrip(r)
}

// each calls what with every replica, at the same time.
func (f *fleet) each(what func(replica int)) {
	f.t.Helper()
	var all sync.WaitGroup
	for n := range f.replicas {
		all.Go(func() { what(n) })
	}
	all.Wait()
}

// pass lets time go by on every clock.
func (f *fleet) pass(d time.Duration) {
	f.t.Helper()
	ahead := f.clock.Ahead() + d
	f.each(func(n int) {
		if err := f.replicas[n].SetAhead(f.t.Context(), ahead); err != nil {
			f.t.Errorf("replica %d: its clock could not be set: %v", n, err)
		}
	})
	f.clock.SetAhead(ahead) // last, so that no token comes from the future
}

// page loads a page on a replica and returns the status.
func (f *fleet) page(replica int, site *fakehost.Site) (status int) {
	f.t.Helper()
	answer, err := site.Get(f.on(replica), "/panel")
	if err != nil {
		f.t.Errorf("replica %d: a page got no answer: %v\n%s", replica, err, f.replicas[replica].Output())
	}
	return answer.StatusCode
}

// serves fails the test unless the replica serves the first page that it does not answer with 503.
func (f *fleet) serves(replica int, site *fakehost.Site, why string) {
	f.t.Helper()
	f.settles(replica, http.StatusOK, why, func() int { return f.page(replica, site) })
}

// refuses fails the test unless the replica refuses the first page that it does not answer with 503.
func (f *fleet) refuses(replica int, site *fakehost.Site, why string) {
	f.t.Helper()
	f.settles(replica, http.StatusUnauthorized, why, func() int { return f.page(replica, site) })
}

func (f *fleet) settles(replica, want int, why string, request func() (status int)) {
	f.t.Helper()
	status := http.StatusServiceUnavailable
	for start := time.Now(); status == http.StatusServiceUnavailable && time.Since(start) < patience; {
		status = request()
	}
	if status != want {
		f.t.Errorf("replica %d: got status %d, want %d: %s\n%s", replica, status, want, why, f.replicas[replica].Output())
	}
}

// takes sends a callback to a replica, again after a 503, and fails the test unless it gets a 2xx.
func (f *fleet) takes(replica int, send func(context.Context) (fakehost.Answer, error)) {
	f.t.Helper()
	answer, err := send(f.on(replica))
	for start := time.Now(); answer.StatusCode == http.StatusServiceUnavailable && time.Since(start) < patience; {
		answer, err = send(f.on(replica))
	}
	if err != nil {
		f.t.Fatalf("replica %d: a callback got status %d, %v, want 2xx\n%s",
			replica, answer.StatusCode, err, f.replicas[replica].Output())
	}
}

// known has every replica read the site's row, now.
func (f *fleet) known(sites ...*fakehost.Site) {
	f.t.Helper()
	f.pass(cacheTTL)
	f.each(func(n int) {
		for _, site := range sites {
			f.serves(n, site, "the app is installed")
		}
	})
}

// row returns the site's row, past the replicas.
func (f *fleet) row(site *fakehost.Site) *core.Installation {
	f.t.Helper()
	row, err := f.store.Get(f.t.Context(), core.Key{AppKey: process.AppKey, ClientKey: site.ClientKey()})
	if err != nil {
		f.t.Fatal(err)
	}
	return row
}

// becomes polls until the site's row is as it should be: what requests show is written behind their back.
func (f *fleet) becomes(site *fakehost.Site, what string, holds func(*core.Installation) bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds(f.row(site)) {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("the row has not come to this for %v: %s", patience, what)
		}
	}
}
