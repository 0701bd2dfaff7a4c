package crowds

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

const (
	tenants = 5_000
	// inFlight callbacks are under way at a time, and pagesInFlight page loads, each of which has to read a row: of more
	// than 64 at a time a replica refuses some.
	inFlight      = 128
	pagesInFlight = 48
	// A page is loaded of each site with a number that sample divides.
	sample = 10
	// fleetLimit is far more than both waves take.
	fleetLimit = 5 * time.Minute
)

// Whenever an app releases a version, every site that has it calls back.
func TestAllTenantsUpdateAtOnceAndNoneIsLost(t *testing.T) {
	tokens := signAhead(t, runs.Scaled(tenants))
	everywhere(t, replicated, func(t *testing.T, where string, stores [2]core.Store) {
		n, writers := runs.Scaled(tenants), 32
		if databases.Kind(where) == databases.SQLite { // One writer is quicker than several that wait for their turn.
			writers = 1
		}
		journal := newJournal()
		network := new(network)
		fleet := newFleet(t, network, n)
		fleet.tokens = tokens
		ctx, cancel := context.WithTimeout(t.Context(), fleetLimit)
		defer cancel()

		fleet.installedLongAgo(ctx, t, stores[0], writers)
		network.app = newReplicas(t, stores, journal, time.Now)

		fleet.wave(ctx, t, "update", func(site *fakehost.Site) *fakehost.Callback {
			callback := site.Callback(fakehost.Installed).Offer(site.Secret())
			callback.Payload["pluginsVersion"] = "after the update"
			return callback
		})
		for _, row := range fleet.rows(ctx, t, stores[1]) {
			if row.Site.PluginsVersion != "after the update" || row.SecretVersion != 1 {
				t.Errorf("%s: got version %q and secret %d, want the update and the first secret",
					row.Key.ClientKey, row.Site.PluginsVersion, row.SecretVersion)
			}
		}

		fleet.wave(ctx, t, "rotation", func(site *fakehost.Site) *fakehost.Callback { return site.Callback(fakehost.Installed) })
		rows := fleet.rows(ctx, t, stores[1])
		for _, site := range fleet.sites {
			row := rows[site.ClientKey()]
			if row == nil {
				t.Fatalf("%s: got no row, and so the site is locked out", site.ClientKey())
			}
			if string(row.Newest()) != site.Fingerprint() {
				t.Errorf("%s: the newest secret is %s, want %.12s, which the site signs with", site.ClientKey(), row.Newest().Short(), site.Fingerprint())
			}
		}
		fleet.pages(ctx, t, journal)

		journal.check(t)
		t.Logf("%d tenants, %d callbacks answered yes, %d tried again; refused: %s",
			n, fleet.answered.Load(), fleet.again.Load(), journal.refusals())
		runs.Documented(t, "tenants that update at once", where, n)
	})
}

// fleet is all sites that have the app.
type fleet struct {
	sites           []*fakehost.Site
	tokens          [][]string    // of each wave and site, signed ahead
	outdated        []atomic.Bool // of each site, once it has signed a newer one
	waves           int
	answered, again atomic.Int64
}

// newFleet returns n sites. They are the same in each fleet, so that tokens fit all.
func newFleet(t *testing.T, transport http.RoundTripper, n int) *fleet {
	t.Helper()
	fleet := &fleet{outdated: make([]atomic.Bool, n)}
	for n := range n {
		site, err := inprocess.NewSite(transport, fakehost.Config{Seed: "tenant " + strconv.Itoa(n)})
		if err != nil {
			t.Fatal(err)
		}
		fleet.sites = append(fleet.sites, site)
	}
	return fleet
}

// signAhead signs the tokens that n sites send in two waves, once for all fleets: to sign takes longer than all that the
// app does. A token does not say what the body is.
func signAhead(t *testing.T, n int) [][]string {
	t.Helper()
	fleet := newFleet(t, nil, n)
	waves := make([][]string, 2)
	for wave := range waves {
		waves[wave] = make([]string, n)
		fleet.each(inFlight, func(n int, site *fakehost.Site) {
			var err error
			if waves[wave][n], err = site.Callback(fakehost.Installed).Token.Sign(); err != nil {
				t.Error(err)
			}
		})
	}
	return waves
}

// each calls f for every site, several at a time.
func (f *fleet) each(atATime int, do func(n int, site *fakehost.Site)) {
	var next atomic.Int64
	atOnce(atATime, func(int) {
		for {
			n := int(next.Add(1)) - 1
			if n >= len(f.sites) {
				return
			}
			do(n, f.sites[n])
		}
	})
}

// installedLongAgo gives each site its app and its row.
func (f *fleet) installedLongAgo(ctx context.Context, t *testing.T, store core.Store, writers int) {
	t.Helper()
	past := time.Now().Add(-24 * time.Hour)
	f.each(writers, func(_ int, site *fakehost.Site) {
		install := site.Callback(fakehost.Installed)
		install.Token = nil // Nobody looks at it.
		if _, err := install.Send(ctx); err != nil {
			t.Error(err)
			return
		}
		secret, err := core.NewSecret(site.Secret())
		if err != nil {
			t.Error(err)
			return
		}
		_, err = store.Put(ctx, &core.Installation{
			Key:     core.Key{AppKey: inprocess.AppKey, ClientKey: site.ClientKey()},
			State:   core.Installed,
			Signing: core.SignedRS256,
			Site:    core.Site{BaseURL: site.BaseURL(), ProductType: "jira", PluginsVersion: "before the update"},
			Secrets: []core.StoredSecret{
				{Fingerprint: secret.Fingerprint(), State: core.Usable, OfferedAt: past, Value: secret},
			},
			SecretVersion: 1,
			LastOffer:     past, Watermark: past, CreatedAt: past, UpdatedAt: past,
		})
		if err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// wave lets every site send a callback. A site that the app is too busy for tries again with a token of that moment.
func (f *fleet) wave(ctx context.Context, t *testing.T, what string, callback func(*fakehost.Site) *fakehost.Callback) {
	t.Helper()
	ahead := f.tokens[f.waves]
	f.waves++
	f.each(inFlight, func(n int, site *fakehost.Site) {
		c := callback(site)
		if !f.outdated[n].Load() {
			c.Token = nil
			c.Header.Set("Authorization", "JWT "+ahead[n])
		}
		for {
			answer, err := c.Send(ctx)
			switch {
			case err == nil:
				f.answered.Add(1)
				return
			case !errors.Is(err, fakehost.ErrRefused) || answer.StatusCode != 503:
				t.Errorf("%s of %s: got %v, want 204, or 503 while the app is busy", what, site.ClientKey(), err)
				return
			}
			breathe(ctx)
			f.again.Add(1)
			f.outdated[n].Store(true)
			c = callback(site)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

// rows reads all rows, and fails the test unless each site has one and no more.
func (f *fleet) rows(ctx context.Context, t *testing.T, store core.Store) map[string]*core.Installation {
	t.Helper()
	rows, after := map[string]*core.Installation{}, ""
	for {
		page, err := store.List(ctx, inprocess.AppKey, after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, row := range page {
			after = row.Key.ClientKey
			if rows[after] != nil {
				t.Errorf("%s: got two rows, want one", after)
			}
			rows[after] = row
		}
	}
	if len(rows) != len(f.sites) {
		t.Errorf("got %d rows, want one for each of %d sites", len(rows), len(f.sites))
	}
	return rows
}

// pages lets some of the sites show a page. All would be no more than a test of the rows.
func (f *fleet) pages(ctx context.Context, t *testing.T, journal *journal) {
	t.Helper()
	f.each(pagesInFlight, func(n int, site *fakehost.Site) {
		if n%sample != 0 {
			return
		}
		answer, err := site.Get(ctx, "/panel")
		if err != nil || answer.StatusCode != 200 || string(answer.Body) != site.ClientKey() {
			t.Errorf("a page of %s: got status %d, %v, want 200; %s",
				site.ClientKey(), answer.StatusCode, err, journal.why(answer))
		}
	})
}

// network leads to the app, once there is one. Before that it says yes to everything.
type network struct{ app http.RoundTripper }

func (n *network) RoundTrip(request *http.Request) (*http.Response, error) {
	if n.app != nil {
		return n.app.RoundTrip(request)
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: io.NopCloser(new(bytes.Reader))}, nil
}
