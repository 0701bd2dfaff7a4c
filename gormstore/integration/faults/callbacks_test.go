package faults

import (
	"context"
	"net/http"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
)

// signedFlows are the callbacks of sites for which Atlassian signs.
var signedFlows = []*flow{
	{name: "first install", answer: 204, prepare: nothing, act: offer},
	{name: "rotation", answer: 204, prepare: installed, act: offer},
	{
		name:    "update without a secret",
		answer:  204,
		prepare: installed,
		act: func(ctx context.Context, w *world) int {
			c := w.site.Callback(fakehost.Installed).OfferNothing()
			c.Payload["pluginsVersion"] = "1001.1.0"
			return w.send(ctx, c)
		},
	},
	{
		name:    "update with the same secret",
		answer:  204,
		prepare: installed,
		act: func(ctx context.Context, w *world) int {
			return w.send(ctx, w.site.Callback(fakehost.Installed).Offer(w.site.Secret()))
		},
	},
	{
		name:    "rename",
		answer:  204,
		prepare: installed,
		act: func(ctx context.Context, w *world) int {
			answer, _ := w.site.Rename(ctx, "https://renamed.atlassian.net")
			return answer.StatusCode
		},
	},
	{name: "uninstall", answer: 204, prepare: installed, act: leave},
	{name: "re-install", answer: 204, prepare: uninstalled, act: offer},
	{name: "uninstalled for an unknown tenant", answer: 204, prepare: nothing, act: leave},
	{
		name:    "enabled",
		answer:  204,
		lookups: 2,
		prepare: disabled,
		act:     func(ctx context.Context, w *world) int { return w.send(ctx, w.site.Callback(fakehost.Enabled)) },
	},
	{
		name:    "disabled",
		answer:  204,
		lookups: 2,
		prepare: installed,
		act:     func(ctx context.Context, w *world) int { return w.send(ctx, w.site.Callback(fakehost.Disabled)) },
	},
	{
		name:    "import at the same base URL",
		answer:  204,
		prepare: imported,
		act:     func(ctx context.Context, w *world) int { return w.send(ctx, w.imported.Callback(fakehost.Installed)) },
	},
	{
		name:    "callback with a revoked secret",
		answer:  401,
		prepare: revoked,
		act: func(ctx context.Context, w *world) int {
			return w.send(ctx, w.site.Callback(fakehost.Installed).Offer(w.leaked))
		},
	},
	{
		name:    "older callback, which is refused",
		answer:  409,
		prepare: installed,
		warm:    seen,
		act: func(ctx context.Context, w *world) int {
			c := w.site.Callback(fakehost.Installed)
			c.Token.Claims["iat"] = time.Now().Add(-time.Minute).Unix()
			return w.send(ctx, c)
		},
	},
}

// symmetricFlows are the callbacks that a site signs with the secret it had before.
var symmetricFlows = []*flow{
	{name: "symmetric first install", answer: 204, symmetric: true, unsigned: true, prepare: nothing, act: offerUnsigned},
	{name: "symmetric rotation", answer: 204, symmetric: true, lookups: 2, prepare: installed, act: offer},
	{name: "symmetric uninstall", answer: 204, symmetric: true, lookups: 2, prepare: installed, act: leave},
	{name: "symmetric re-install", answer: 204, symmetric: true, lookups: 2, prepare: uninstalled, act: offer},
}

func offer(ctx context.Context, w *world) int {
	return w.send(ctx, w.site.Callback(fakehost.Installed))
}

func leave(ctx context.Context, w *world) int {
	return w.send(ctx, w.site.Callback(fakehost.Uninstalled))
}

// offerUnsigned offers a first secret. If the app knows the tenant, its answer was lost: then the site signs with what it
// offered, as sites do, which keep it as a remnant.
func offerUnsigned(ctx context.Context, w *world) int {
	c := w.site.Callback(fakehost.Installed)
	if row := w.row(w.key(w.site)); row != nil && c.Token == nil {
		c.Token = w.site.Token(http.MethodPost, "/installed")
		c.Token.Key = []byte(row.Secrets[len(row.Secrets)-1].Value.Reveal())
	}
	return w.send(ctx, c)
}

func nothing(*world) {}

func installed(w *world) {
	w.must(offer(context.Background(), w), http.StatusNoContent)
	w.settle()
}

func uninstalled(w *world) {
	installed(w)
	w.must(leave(context.Background(), w), http.StatusNoContent)
}

func disabled(w *world) {
	installed(w)
	w.must(w.send(context.Background(), w.site.Callback(fakehost.Disabled)), http.StatusNoContent)
}

func imported(w *world) {
	installed(w)
	w.imported = w.site.Import()
}

// replaced leaves the site with another secret than one that has leaked.
func replaced(w *world) {
	installed(w)
	w.leaked = w.site.Secret()
	w.must(offer(context.Background(), w), http.StatusNoContent)
}

func revoked(w *world) {
	replaced(w)
	w.elsewhere(w.ledger, func(app *inprocess.App) { w.must(w.revoke(context.Background(), app), http.StatusOK) })
}

// revoke revokes the secret that has leaked, for every tenant.
func (w *world) revoke(ctx context.Context, app *inprocess.App) int {
	w.t.Helper()
	secret, err := core.NewSecret(w.leaked)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = app.Revoke(ctx, secret.Fingerprint(), "it has leaked")
	return w.status(err)
}

// seen lets the site load a page, so that the replica has its row in the cache.
func seen(w *world) {
	w.must(w.visit(context.Background(), w.site), http.StatusOK)
	w.pass(0)
}
