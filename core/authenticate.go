package core

import (
	"context"
	"slices"
	"time"

	"github.com/hostbond/hostbond/core/qsh"
)

// Authenticate verifies that a request comes from a site on which the app is installed, and returns for whom it
// speaks. accept lists the kinds of token that the route takes; without it that is [URLBound] alone. If the context
// carries a principal of an accepted kind already, that one is returned.
//
// The error is a refusal: [StatusCode] has the status for the caller, [Reason] the reason for the operator.
// A refusal has been logged.
func (a *App) Authenticate(ctx context.Context, r Request, accept ...TokenKind) (*Principal, error) {
	if len(accept) == 0 {
		accept = []TokenKind{URLBound}
	}
	if p, ok := PrincipalFrom(ctx); ok && p.app == a && slices.Contains(accept, p.Kind) {
		return p, nil
	}
	p, refusal := a.authenticate(ctx, r, accept)
	if refusal != nil {
		return nil, a.logRefusal(ctx, "request refused", refusal)
	}
	return p, nil
}

func (a *App) authenticate(ctx context.Context, r Request, accept []TokenKind) (*Principal, *refusal) {
	arrived := a.config.Now()

	// Exactly one token: with two, the app and its proxy might each look at another one.
	raw, refusal := r.token()
	if refusal != nil {
		return nil, refusal
	}
	// Strictly, so that nothing below can be read in two ways.
	token, refusal := parseToken(raw)
	if refusal != nil {
		return nil, refusal
	}
	// No request is signed with anything else, so there is nothing to choose (RFC 8725 3.1).
	if token.header.algorithm != algHS256 {
		return nil, refuse(ReasonAlgorithm, "requests are signed with HS256").from(token)
	}
	if refusal := token.claims.checkLife(a.config.MaxTokenLife); refusal != nil {
		return nil, refusal.from(token)
	}
	// The issuer alone names the tenant. Audience, body and URL are not what the secret was looked up by.
	tenant, signer, refusal := a.verifySecret(ctx, token, (*tenant).verify)
	if refusal != nil {
		a.recorder.unverified(tenant, refusal.reason, arrived)
		return nil, refusal.from(token)
	}
	if refusal := token.claims.checkTime(arrived, a.config.Leeway); refusal != nil {
		return nil, refusal.from(token)
	}
	// A context token fits any URL, so it must not pass where the URL is what was signed (CVE-2021-26073).
	kind := URLBound
	if token.claims.queryHash == contextQueryHash {
		kind = ContextToken
	}
	if !slices.Contains(accept, kind) {
		return nil, refuse(ReasonTokenKind, "this route does not accept tokens of kind "+string(kind)).from(token)
	}
	if kind == URLBound {
		if refusal := a.checkQueryHash(token, r); refusal != nil {
			return nil, refusal.from(token)
		}
	}
	a.recorder.request(tenant, evidence{signer, time.Unix(token.claims.issuedAt, 0).UTC()}, arrived)
	return &Principal{
		AppKey:      a.config.AppKey,
		ClientKey:   token.claims.issuer,
		AccountID:   token.claims.accountID,
		Kind:        kind,
		Fingerprint: signer,
		IssuedAt:    time.Unix(token.claims.issuedAt, 0).UTC(),
		ExpiresAt:   time.Unix(token.claims.expiresAt, 0).UTC(),
		app:         a,
		tenant:      tenant,
	}, nil
}

// verifySecret returns the tenant that the token claims to come from and the secret of it that signed the token.
func (a *App) verifySecret(ctx context.Context, t *token,
	verify func(*tenant, *token) (Fingerprint, *refusal),
) (*tenant, Fingerprint, *refusal) {
	tenant, fresh, refusal := a.tenants.get(ctx, t.claims.issuer)
	if refusal != nil {
		return nil, "", refusal
	}
	signer, refusal := verify(tenant, t)
	if refusal != nil && refusal.mayBeOutdated() && !fresh {
		// Another replica may have taken a callback in the meantime.
		if tenant, refusal = a.tenants.reread(ctx, t.claims.issuer); refusal == nil {
			signer, refusal = verify(tenant, t)
		}
	}
	return tenant, signer, refusal
}

// checkQueryHash holds the claim against the request as it came over the wire.
func (a *App) checkQueryHash(t *token, r Request) *refusal {
	for _, basePath := range a.basePaths {
		if qsh.Match(t.claims.queryHash, r.Method, r.Target, basePath) {
			return nil
		}
	}
	mismatch := &QueryHashMismatch{qsh.Diagnose(t.claims.queryHash, r.Method, r.Target, a.basePaths[0])}
	return refuse(ReasonQueryHash, mismatch.NearMiss).because(mismatch)
}
