package replicas

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestADatabaseThatRefusesIsDoneWithoutForAMinute(t *testing.T) {
	t.Parallel()
	doWithout(t, cut)
}

func TestADatabaseThatHangsIsDoneWithoutForAMinute(t *testing.T) {
	t.Parallel()
	doWithout(t, hung)
}

func TestADatabaseThatWasAwayForAMomentIsReadAgainWithinASecond(t *testing.T) {
	f := newFleet(t)
	site := f.installed(0)
	f.known(site)
	f.line.set(cut)
	f.pass(10 * time.Second)
	f.answers(http.StatusOK, "a tenant that was read a moment ago", site)
	f.line.set(mended)
	f.pass(aMoment)
	f.takes(0, site.Rotate)
	f.each(func(n int) {
		f.serves(n, site, "the first page with a secret that was rotated when the database was back")
	})
}

// doWithout takes the database away for a minute and brings it back.
func doWithout(t *testing.T, how state) {
	f := newFleet(t)
	// One site for each replica to take callbacks from; all replicas know all three.
	sites := []*fakehost.Site{f.installed(0), f.installed(1), f.installed(2)}
	late := f.newSite()
	f.known(sites...)
	f.takes(0, late.Install) // which the other two have not heard of
	f.line.set(how)

	// Whatever this machine takes for it, all of this is within MaxStale of the last read.
	f.pass(10 * time.Second)
	f.answers(http.StatusOK, "a tenant that was read a moment ago", sites...)
	f.takesNothing(sites)
	f.pass(30 * time.Second)
	f.answers(http.StatusOK, "a site that went back to its old secret, less than a minute after it was read", sites...)
	f.each(func(n int) {
		if status := f.guess(n, f.newSite()); status != http.StatusServiceUnavailable {
			t.Errorf("replica %d: a tenant that may or may not exist: got status %d, want 503", n, status)
		}
		if n == 0 {
			return
		}
		if status := f.page(n, late); status != http.StatusServiceUnavailable {
			t.Errorf("replica %d: a tenant that this replica has not read: got status %d, want 503", n, status)
		}
	})

	f.pass(maxStale - 40*time.Second)
	f.answers(http.StatusServiceUnavailable, "a tenant that was read more than a minute ago, and may be revoked", sites...)
	f.takesNothing(sites)

	f.line.set(mended)
	f.pass(aMoment) // the database is tried once a second
	f.each(func(n int) {
		for _, site := range append(sites[:3:3], late) {
			f.serves(n, site, "the database is back")
		}
		f.settles(n, http.StatusUnauthorized, "nobody has installed the app", func() int { return f.guess(n, f.newSite()) })
	})
	f.pass(aMoment)
	for n, site := range sites {
		f.takes(n, site.Rotate)
	}
	f.pass(aMoment)
	f.each(func(n int) {
		for _, site := range sites {
			f.serves(n, site, "the secret that was rotated when the database was back")
		}
	})
}

// answers fails the test unless every replica answers a page of every site with the status.
func (f *fleet) answers(want int, what string, sites ...*fakehost.Site) {
	f.t.Helper()
	f.each(func(n int) {
		var all sync.WaitGroup
		for _, site := range sites {
			all.Go(func() {
				if got := f.page(n, site); got != want {
					f.t.Errorf("replica %d: got status %d, want %d: %s\n%s", n, got, want, what, f.replicas[n].Output())
				}
			})
		}
		all.Wait()
	})
}

// takesNothing fails the test unless each site gets a 503 to its rotation, each from another replica, and goes back.
func (f *fleet) takesNothing(sites []*fakehost.Site) {
	f.t.Helper()
	f.each(func(n int) {
		site := sites[n]
		before := site.Secret()
		answer, err := site.Rotate(f.on(n))
		if !errors.Is(err, fakehost.ErrRefused) || answer.StatusCode != http.StatusServiceUnavailable {
			f.t.Errorf("replica %d: a callback without the database: got status %d, %v, want 503", n, answer.StatusCode, err)
		}
		if site.Secret() != before {
			f.t.Errorf("replica %d: the site keeps a secret that no row holds", n)
		}
	})
}
