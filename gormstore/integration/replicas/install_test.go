package replicas

import (
	"net/http"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func TestAFirstInstallOnOneReplicaIsKnownToAllAtOnce(t *testing.T) {
	f := newFleet(t)
	site := f.newSite()
	// That there is no such tenant is remembered by every replica, as if somebody had been guessing.
	f.each(func(n int) {
		f.settles(n, http.StatusUnauthorized, "nobody has installed the app", func() int { return f.guess(n, site) })
	})
	f.pass(aMoment)
	f.takes(0, site.Install)
	f.each(func(n int) { f.serves(n, site, "the first page after a first install on replica 0") })
}

func TestAnUninstallOnOneReplicaIsKnownToAllWithinTheCacheTTL(t *testing.T) {
	f := newFleet(t)
	site := f.installed(0)
	f.known(site)
	f.takes(0, site.Uninstall)
	f.refuses(0, site, "this replica has taken the uninstall itself")
	f.pass(cacheTTL)
	f.each(func(n int) { f.refuses(n, site, "a page with the old secret, as long as CacheTTL after the uninstall") })
}

// guess loads a page with a secret that is not the site's, and returns the status.
func (f *fleet) guess(replica int, site *fakehost.Site) (status int) {
	f.t.Helper()
	return f.forge(replica, site, "whatever somebody may guess")
}

// forge loads a page with a secret of the caller's choice, and returns the status.
func (f *fleet) forge(replica int, site *fakehost.Site, secret string) (status int) {
	f.t.Helper()
	token := site.Token(http.MethodGet, "/panel")
	token.Key = []byte(secret)
	answer, err := site.Do(f.on(replica), http.MethodGet, "/panel", token, nil)
	if err != nil {
		f.t.Errorf("replica %d: a page got no answer: %v", replica, err)
	}
	return answer.StatusCode
}
