package replicas

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

func TestARevokedSecretVerifiesNothingWithinTheCacheTTLAndNeverAgain(t *testing.T) {
	f := newFleet(t)
	site := f.installed(0)
	secret, fingerprint := site.Secret(), core.Fingerprint(site.Fingerprint())
	f.known(site)
	f.revoke(fingerprint)
	f.pass(cacheTTL)
	f.each(func(n int) { f.refuses(n, site, "a page with the secret that was revoked CacheTTL ago") })

	offerAgain := func(ctx context.Context) (fakehost.Answer, error) {
		return site.Callback(fakehost.Installed).Offer(secret).Send(ctx)
	}
	for n := range f.replicas {
		f.refusesOffer(n, offerAgain)
	}
	f.pass(aMoment)
	f.each(func(n int) { f.refuses(n, site, "a page with the revoked secret, which callbacks have offered again") })

	f.pass(aMoment)
	f.takes(0, site.Rotate)
	f.each(func(n int) { f.serves(n, site, "the first page with a secret that takes the revoked one's place") })
	for n := range f.replicas {
		f.refusesOffer(n, offerAgain)
	}
	f.pass(aMoment)
	f.each(func(n int) {
		f.serves(n, site, "a callback that offered the revoked secret was refused, so the site has gone back")
		f.settles(n, http.StatusUnauthorized, "a page with the revoked secret, after another one has come",
			func() int { return f.forge(n, site, secret) })
	})
	for _, stored := range f.row(site).Secrets {
		if stored.Fingerprint == fingerprint && (stored.State != core.Revoked || !stored.Value.IsZero()) {
			t.Errorf("the row says that the revoked secret is %s, and keeps a value: %t; want revoked, and none",
				stored.State, !stored.Value.IsZero())
		}
	}
}

// revoke revokes a secret as an operator does: in a process of his own, which no request meets.
func (f *fleet) revoke(fingerprint core.Fingerprint) {
	f.t.Helper()
	app, err := inprocess.NewApp(f.store)
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := app.Revoke(f.t.Context(), fingerprint, "found in a log")
	if err != nil || n != 1 {
		f.t.Fatalf("revoked for %d installations, %v, want 1", n, err)
	}
	if err := app.Close(f.t.Context()); err != nil {
		f.t.Error(err)
	}
}

// refusesOffer sends a callback to a replica, again after a 503, and fails the test unless it gets 401.
func (f *fleet) refusesOffer(replica int, send func(context.Context) (fakehost.Answer, error)) {
	f.t.Helper()
	f.settles(replica, http.StatusUnauthorized, "a callback that offers a revoked secret", func() int {
		answer, err := send(f.on(replica))
		if !errors.Is(err, fakehost.ErrRefused) {
			f.t.Errorf("replica %d: a callback that offers a revoked secret: got %v, want a refusal", replica, err)
		}
		return answer.StatusCode
	})
}
