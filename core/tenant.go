package core

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// tenant is an installation made ready to verify requests. It is shared by requests and never changes, but for the
// marks that save work.
type tenant struct {
	row    *Installation // nil for an unknown client key
	gone   int64         // revision of the row that was there before it was deleted; 0 if none was
	readAt time.Time     // when the read that brought the row began
	usable []verifier    // the one offered last first
	former []verifier    // secrets that this process has seen in use; they only explain a refusal
	newest Fingerprint

	trouble *trouble // outlives the reading of the row

	rereadAt  atomic.Int64 // when a later read began, in Unix nanoseconds; 0 if none has
	likeliest atomic.Int32 // index in usable of the secret that verified last
	noted     atomic.Bool  // evidence is on its way to the row
	seenNoted atomic.Bool  // that the tenant is alive is on its way to the row
	useNoted  atomic.Bool  // that its newest secret is in use is
}

// verifier verifies signatures by one secret of a tenant.
type verifier struct {
	fingerprint Fingerprint
	hs256       *hs256 // nil if the secret could not be opened, or is not configured
	state       SecretState
	bound       bool // an app-wide secret
}

// newTenant prepares a row. What an earlier reading of the row has prepared is taken over, but for app-wide secrets, of
// which those that may verify for the tenant are given.
func newTenant(row *Installation, readAt time.Time, before *tenant, appSecrets []verifier, configured appWide) *tenant {
	t := &tenant{row: row, readAt: readAt}
	if row == nil {
		return t
	}
	t.newest, t.trouble = row.Newest(), new(trouble)
	if before != nil && before.trouble != nil {
		t.trouble = before.trouble
	}
	for _, secret := range slices.Backward(row.Secrets) {
		v := verifier{fingerprint: secret.Fingerprint, state: secret.State, bound: secret.Bound}
		switch {
		case secret.Bound:
			v.hs256 = prepared(appSecrets, secret.Fingerprint)
		case before != nil:
			v.hs256 = cmp.Or(prepared(before.usable, secret.Fingerprint), prepared(before.former, secret.Fingerprint))
		}
		if v.hs256 == nil && !secret.Value.IsZero() {
			v.hs256 = newHS256(secret.Value)
		}
		switch {
		case secret.State == Usable:
			t.usable = append(t.usable, v)
		case v.hs256 != nil:
			t.former = append(t.former, v)
		}
	}
	for _, f := range row.open(configured) {
		t.usable = append(t.usable, verifier{f, prepared(appSecrets, f), Usable, true})
	}
	return t
}

func prepared(known []verifier, f Fingerprint) *hs256 {
	for _, v := range known {
		if v.fingerprint == f {
			return v.hs256
		}
	}
	return nil
}

// nobody is verified against in place of a tenant that has no secrets, so that a stranger's guess costs the same.
var nobody = newHS256(Secret{})

// uses reports whether the secret is one that verifies, or would if it could.
func (t *tenant) uses(f Fingerprint) bool {
	return slices.ContainsFunc(t.usable, func(v verifier) bool { return v.fingerprint == f })
}

// lastRead returns when the row was last asked for, answered or not.
func (t *tenant) lastRead() time.Time { return later(t.readAt, time.Unix(0, t.rereadAt.Load())) }

// revision orders the readings of one row.
func (t *tenant) revision() int64 {
	if t.row == nil {
		return t.gone
	}
	return t.row.Revision
}

// verify returns the fingerprint of the usable secret that signed the token.
func (t *tenant) verify(token *token) (Fingerprint, *refusal) {
	if t.row != nil && t.row.State != Installed {
		nobody.verify(token.signingInput, token.signature)
		return "", refuse(ReasonNotInstalled, "")
	}
	return t.signer(token)
}

// signer is verify for lifecycle callbacks, which a symmetric site signs with its last secret even when uninstalled.
func (t *tenant) signer(token *token) (Fingerprint, *refusal) {
	if t.row == nil {
		nobody.verify(token.signingInput, token.signature)
		return "", refuse(ReasonUnknownTenant, "")
	}
	likeliest := int(t.likeliest.Load())
	var missing *refusal
	for n := range t.usable {
		// The likeliest first, the others in their order.
		switch {
		case n == 0:
			n = likeliest
		case n <= likeliest:
			n--
		}
		secret := t.usable[n]
		if secret.hs256 == nil {
			missing = secret.missing()
			continue
		}
		if secret.hs256.verify(token.signingInput, token.signature) {
			if n != likeliest {
				t.likeliest.Store(int32(n))
			}
			return secret.fingerprint, nil
		}
	}
	for _, secret := range t.former {
		if !secret.hs256.verify(token.signingInput, token.signature) {
			continue
		}
		if secret.state == Revoked {
			return "", refuse(ReasonRevoked, "signed with secret "+secret.fingerprint.Short()+", which was revoked")
		}
		return "", refuse(ReasonRetired, "signed with secret "+secret.fingerprint.Short()+", which the site had left behind")
	}
	if missing != nil {
		return "", missing
	}
	return "", refuse(ReasonBadSignature, "")
}

// missing says why a secret cannot verify: it is our fault, and so no answer on the signature.
func (v verifier) missing() *refusal {
	if v.bound {
		return refuse(ReasonNotConfigured, "the installation is bound to app-wide secret "+v.fingerprint.Short()+", which is not configured")
	}
	return refuse(ReasonUnreadable, "a secret of the installation cannot be opened; is its seal key configured?")
}
