package crowds

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

const (
	pageEvery = 2 * time.Millisecond // 500 a second
	// atMost pages are under way. A second's worth may have to wait, since a replica reads a row for the sake of a secret
	// that it does not know once a second at most.
	atMost = 256
	// callers are the callbacks under way, fewer than either replica has connections, so that pages need not wait for one.
	callers = connections - 4
	// overtakeEvery is which callback is overtaken by a page.
	overtakeEvery = 4
)

// traffic is sites that show pages, and what came of them.
type traffic struct {
	t        *testing.T
	clock    *clock
	journal  *journal
	replicas *replicas
	sites    []*resident
	byKey    map[string]*resident
	warm     bool // both replicas know all sites

	committed  sync.Map       // secrets whose callback was answered yes to, whether or not the site hears of it
	underWay   sync.RWMutex   // held by pages, so that the clock is not set ahead over their tokens
	overtaking sync.WaitGroup // pages that overtake a callback
	callers    chan struct{}

	callbacks, answered, back, again atomic.Int64 // back: sites that went back without having heard of an answer
	pages, early, refused, late      atomic.Int64 // early: of a secret that was not committed, and let in all the same
	retired                          int          // secrets
}

// resident is a site. It rotates only after it has asked for a page.
type resident struct {
	*fakehost.Site
	asked chan struct{}
}

// newTraffic installs the app on n sites and shows a page of each on both replicas.
func newTraffic(ctx context.Context, t *testing.T, stores [2]core.Store, n int) *traffic {
	t.Helper()
	f := &traffic{t: t, clock: new(clock), journal: newJournal(), byKey: map[string]*resident{}, callers: make(chan struct{}, callers)}
	f.replicas = newReplicas(t, stores, f.journal, f.clock.now)
	for range n {
		site, err := inprocess.NewSite(f, fakehost.Config{Now: f.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		resident := &resident{site, make(chan struct{}, 1)}
		f.sites, f.byKey[site.ClientKey()] = append(f.sites, resident), resident
		if _, err := site.Install(ctx); err != nil {
			t.Fatal(err)
		}
		for _, app := range f.replicas.apps {
			f.page(ctx, resident, inprocess.Transport(app))
		}
	}
	f.answered.Store(0)
	f.pages.Store(0)
	f.warm = true
	return f
}

// start loads pages, of any site and on any replica, at a rate that does not depend on how fast they are answered, until
// stop is called.
func (f *traffic) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(pageEvery)
		defer tick.Stop()
		room := make(chan struct{}, atMost)
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			room <- struct{}{}
			ended.Go(func() {
				defer func() { <-room }()
				// A page that is under way at the end is loaded to its end.
				f.page(context.WithoutCancel(ctx), f.sites[rand.IntN(len(f.sites))], f.replicas)
			})
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		ended.Wait()
		f.overtaking.Wait()
	})
}

// page loads a page with the secret that the site holds at this moment. It may be refused only if no callback with this
// secret had been answered yes to when the page was on its way. If the store took longer than a second, which on a machine
// like this may be nobody's fault, the page is loaded again.
func (f *traffic) page(ctx context.Context, site *resident, replica http.RoundTripper) {
	f.underWay.RLock()
	defer f.underWay.RUnlock()
	f.pages.Add(1)
	token := site.Token(http.MethodGet, "/panel")
	_, committed := f.committed.Load(string(token.Key.([]byte)))
	select {
	case site.asked <- struct{}{}:
	default:
	}
	answer, err := f.load(ctx, token, replica)
	for err == nil && answer.StatusCode == http.StatusServiceUnavailable && late(f.journal.why(answer)) && breathe(ctx) {
		f.late.Add(1)
		answer, err = f.load(ctx, token, replica)
	}
	switch {
	case err != nil:
		f.t.Errorf("a page of %s: got %v, want an answer", site.ClientKey(), err)
	case answer.StatusCode == http.StatusOK && !committed:
		f.early.Add(1)
	case answer.StatusCode == http.StatusUnauthorized && !committed:
		f.refused.Add(1)
	case answer.StatusCode != http.StatusOK:
		f.t.Errorf("a page of %s, whose callback was answered before: %v: got status %d, want 200; %s",
			site.ClientKey(), committed, answer.StatusCode, f.journal.why(answer))
	}
}

func (f *traffic) load(ctx context.Context, token *fakehost.Token, replica http.RoundTripper) (fakehost.Answer, error) {
	signed, err := token.Sign()
	if err != nil {
		return fakehost.Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, inprocess.BaseURL+"/panel", nil)
	if err != nil {
		return fakehost.Answer{}, err
	}
	request.Header.Set("Authorization", "JWT "+signed)
	response, err := replica.RoundTrip(request)
	if err != nil {
		return fakehost.Answer{}, err
	}
	return fakehost.Answer{StatusCode: response.StatusCode, Header: response.Header}, response.Body.Close()
}

// RoundTrip brings a callback to a replica. Before it arrives, a page may.
func (f *traffic) RoundTrip(request *http.Request) (*http.Response, error) {
	var body struct{ ClientKey, SharedSecret string }
	if content, err := request.GetBody(); err != nil {
		return nil, err
	} else if err := json.NewDecoder(content).Decode(&body); err != nil {
		return nil, err
	}
	site := f.byKey[body.ClientKey]
	if f.callbacks.Add(1)%overtakeEvery == 0 && f.warm {
		f.overtaking.Go(func() { f.page(context.WithoutCancel(request.Context()), site, f.replicas) })
	}
	answer, err := f.replicas.RoundTrip(request)
	if err == nil && answer.StatusCode == http.StatusNoContent {
		f.committed.Store(body.SharedSecret, nil)
		f.answered.Add(1)
	}
	return answer, err
}

// setAhead sets the clock ahead between two pages.
func (f *traffic) setAhead(d time.Duration) {
	f.underWay.Lock()
	defer f.underWay.Unlock()
	f.clock.setAhead(d)
}

// row reads the row of a site, past the apps.
func (f *traffic) row(ctx context.Context, store core.Store, site *resident) *core.Installation {
	f.t.Helper()
	row, err := store.Get(ctx, core.Key{AppKey: inprocess.AppKey, ClientKey: site.ClientKey()})
	if err != nil {
		f.t.Fatalf("the row of %s: %v", site.ClientKey(), err)
	}
	return row
}
