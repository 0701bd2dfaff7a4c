package core

import (
	"slices"
	"sync/atomic"
	"time"
)

// tenant is an installation made ready to verify requests. It is shared by requests and never changes, but for the
// marks that save work.
type tenant struct {
	row    *Installation // nil for an unknown client key
	readAt time.Time     // when the read that brought the row began
	usable []verifier    // the one offered last first
	former []verifier    // secrets that this process has seen in use; they only explain a refusal

	rereadAt     atomic.Int64 // when a later read began, in Unix nanoseconds; 0 if none has
	likeliest    atomic.Int32 // index in usable of the secret that verified last
	noted        atomic.Bool  // evidence is on its way to the row
	seenNoted    atomic.Bool  // that the tenant is alive is on its way to the row
	refusalNoted atomic.Bool  // that a callback was refused is
}

// verifier verifies signatures by one secret of a tenant.
type verifier struct {
	fingerprint Fingerprint
	hs256       *hs256 // nil if the secret could not be opened
	state       SecretState
}

// newTenant prepares a row. What an earlier reading of the row has prepared is taken over.
func newTenant(row *Installation, readAt time.Time, before *tenant) *tenant {
	t := &tenant{row: row, readAt: readAt}
	if row == nil {
		return t
	}
	for _, secret := range slices.Backward(row.Secrets) {
		prepared := before.prepared(secret.Fingerprint)
		switch {
		case secret.State == Usable && prepared == nil && !secret.Value.IsZero():
			prepared = newHS256(secret.Value)
			fallthrough
		case secret.State == Usable:
			t.usable = append(t.usable, verifier{secret.Fingerprint, prepared, secret.State})
		case prepared != nil:
			t.former = append(t.former, verifier{secret.Fingerprint, prepared, secret.State})
		}
	}
	return t
}

func (t *tenant) prepared(f Fingerprint) *hs256 {
	if t == nil {
		return nil
	}
	for _, known := range [][]verifier{t.usable, t.former} {
		for _, v := range known {
			if v.fingerprint == f {
				return v.hs256
			}
		}
	}
	return nil
}

// nobody is verified against in place of a tenant that has no secrets, so that a stranger's guess costs the same.
var nobody = newHS256(Secret{})

// lastRead returns when the row was last asked for, answered or not.
func (t *tenant) lastRead() time.Time { return later(t.readAt, time.Unix(0, t.rereadAt.Load())) }

// revision orders the readings of one row.
func (t *tenant) revision() int64 {
	if t.row == nil {
		return 0
	}
	return t.row.Revision
}

// verify returns the fingerprint of the usable secret that signed the token.
func (t *tenant) verify(token *token) (Fingerprint, *refusal) {
	if t.row == nil || t.row.State != Installed {
		nobody.verify(token.signingInput, token.signature)
		if t.row == nil {
			return "", refuse(ReasonUnknownTenant, "")
		}
		return "", refuse(ReasonNotInstalled, "")
	}
	return t.signer(token)
}

// signer is verify for lifecycle callbacks, which a symmetric site signs with its last secret even when uninstalled.
func (t *tenant) signer(token *token) (Fingerprint, *refusal) {
	likeliest := int(t.likeliest.Load())
	unreadable := false
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
			unreadable = true
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
	if unreadable {
		return "", refuse(ReasonUnreadable, "a secret of the installation cannot be opened; is its seal key configured?")
	}
	return "", refuse(ReasonBadSignature, "")
}
