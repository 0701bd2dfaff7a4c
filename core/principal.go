package core

import (
	"context"
	"time"
)

// TokenKind is a kind of token that a route may accept.
type TokenKind string

// The kinds of token.
const (
	// URLBound is made by the site for one method and one URL: pages in iframes, webhooks, everything that stands in
	// the descriptor. It is what a route accepts by default.
	URLBound TokenKind = "url_bound"

	// ContextToken is what AP.context.getToken() gives to a page. It fits any URL of the app, and proves that the user
	// saw a page of it, nothing more. Accept it only on routes that your own pages call (Connect security docs).
	ContextToken TokenKind = "context"
)

// Principal is who a verified request speaks for.
type Principal struct {
	AppKey      string
	ClientKey   string // of the tenant; the key under which an app keeps its data
	AccountID   string // of the user; empty for anonymous users and for the site itself
	Kind        TokenKind
	Fingerprint Fingerprint // of the shared secret that signed the token
	IssuedAt    time.Time
	ExpiresAt   time.Time

	app    *App
	tenant *tenant
}

// Installation returns a copy of the tenant's installation, without its secrets. It may be as old as Config.CacheTTL, or
// as Config.MaxStale while the store does not answer.
// Of a Principal that no App has made, in a test say, it has only the key.
func (p *Principal) Installation() *Installation {
	if p.tenant == nil {
		return &Installation{Key: Key{p.AppKey, p.ClientKey}}
	}
	return p.tenant.row.public()
}

type principalKey struct{}

// WithPrincipal returns a context that carries the principal. Adapters call it.
func WithPrincipal(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns the principal that an adapter's Authenticate put into the request's context.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}
