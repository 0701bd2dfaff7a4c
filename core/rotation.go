package core

import (
	"slices"
	"time"
)

// This file and evidence.go hold the rules by which a row changes: pure functions of a row, a fact and the time. A site
// swaps its secret before it calls, keeps the new one only on a 2xx that it has seen, and goes back to the old one on
// anything else. So after our commit it may still be on the old secret, and only its tokens tell which one it kept.

const (
	// maxUsable bounds the secrets of a row and with it the work for a forged token.
	maxUsable = 8
	// sparedNewest of them are never evicted: the site may just have kept one of them.
	sparedNewest = 3
	// maxRetired bounds the history of a row.
	maxRetired = 16
	// maxApplied bounds the claims remembered of one second.
	maxApplied = 16
	// maxLeeway is how far the clocks of a site and of two replicas may be apart: see Config.Leeway.
	maxLeeway = 5 * time.Minute
	// aliveFor is how long after its last recorded request a site counts as alive; recording is an hour coarse.
	aliveFor = 24 * time.Hour
)

// callback is a verified lifecycle callback, reduced to what the rules look at.
type callback struct {
	event    Event
	signing  Signing
	signer   Fingerprint // of the secret that signed; HS256 only
	issuedAt time.Time   // iat, at most the leeway in our future; when unsigned, the leeway before now
	claim    [32]byte    // SHA-256 of the token's signing input; zero when there is none
	key      Key
	site     Site
	secret   Secret // zero if the body brought none
	revoked  bool   // the secret, by an operator

	appWide        appWide
	appWideUnknown bool // their source has not answered yet
	firstAppWide   bool // a first install may be signed with an app-wide secret
}

// offered returns what the callback offers: a binding, if the secret is an app-wide one. The zero value is nothing.
func (cb callback) offered() StoredSecret {
	switch f := cb.secret.Fingerprint(); {
	case cb.secret.IsZero():
		return StoredSecret{}
	case slices.Contains(cb.appWide, f):
		return StoredSecret{Fingerprint: f, State: Usable, Bound: true}
	default:
		return StoredSecret{Fingerprint: f, State: Usable, Value: cb.secret}
	}
}

// transition is what a callback makes of a row.
type transition struct {
	next    *Installation // nil if the row stays as it is
	outcome Outcome
	retired []Fingerprint // secrets that this callback took out of use
}

// decide applies a verified callback to a row, which is nil for an unknown tenant. It is called again on every
// conflict, so it trusts nothing that was checked against an earlier reading of the row.
func decide(row *Installation, cb callback, now time.Time, settle time.Duration) (transition, *refusal) {
	if refusal := admit(row, cb); refusal != nil {
		return transition{}, refusal
	}
	switch cb.event {
	case EventInstalled:
		return install(row, cb, now, settle)
	case EventUninstalled:
		return uninstall(row, cb, now)
	default:
		return activate(row, cb, now)
	}
}

// admit holds the way in which the callback is signed against the row.
func admit(row *Installation, cb callback) *refusal {
	switch cb.signing {
	case Unsigned:
		if row != nil {
			return refuse(ReasonTokenMissing, "a known tenant signs its callbacks")
		}
	case SignedHS256:
		if row == nil {
			if cb.firstAppWide && cb.event == EventInstalled && slices.Contains(cb.appWide, cb.signer) {
				return nil
			}
			return refuse(ReasonUnknownTenant, "")
		}
		// Whoever holds the shared secret must not be able to step down from Atlassian's own signature.
		if row.Signing == SignedRS256 && cb.event.installs() {
			return refuse(ReasonAlgorithm, "this installation signs its callbacks with RS256")
		}
		if !row.accepts(cb.signer, cb.appWide) {
			return refuse(ReasonBadSignature, "the secret went out of use meanwhile")
		}
	}
	return nil
}

// install applies an offer, an update or a re-install.
func install(row *Installation, cb callback, now time.Time, settle time.Duration) (transition, *refusal) {
	if row == nil {
		row = &Installation{Key: cb.key, CreatedAt: now}
	}
	// Also if it was applied before: a site that is told yes would sign with it.
	if cb.revoked {
		return transition{}, refuse(ReasonRevoked, "the offered secret was revoked")
	}
	if done, refusal := row.order(cb); done || refusal != nil {
		return transition{outcome: OutcomeUnchanged}, refusal
	}
	next := row.Clone()
	var retired []Fingerprint
	if cb.signing == SignedHS256 {
		next.bind(cb.signer, cb.appWide, now)
		retired = next.weigh(evidence{cb.signer, cb.issuedAt}, now, settle)
	}
	next.Signing = stricter(row.Signing, cb.signing)
	if offered := cb.offered(); offered.State != "" {
		if cb.signing == SignedHS256 && next.usable() >= maxUsable {
			retired = append(retired, next.keepSigner(cb, offered.Fingerprint, now, settle)...)
		}
		evicted, refusal := next.offer(offered, cb.issuedAt, now)
		if refusal != nil {
			return transition{}, refusal
		}
		retired = append(retired, evicted...)
	}
	if next.usable() == 0 {
		if refusal := next.bindAnew(cb, now); refusal != nil {
			return transition{}, refusal
		}
	}
	if row.State == "" && cb.signing == SignedHS256 && next.find(cb.signer) < 0 {
		// An app-wide secret. The site signs with it again if our answer is lost.
		next.Secrets = slices.Insert(next.Secrets, 0, StoredSecret{Fingerprint: cb.signer, State: Usable, OfferedAt: now, Bound: true})
	}
	if next.usable() == 0 {
		if cb.appWideUnknown {
			return transition{}, refuse(ReasonNotConfigured, "the body brings no shared secret, and the app-wide ones are not known yet")
		}
		return transition{}, refuse(ReasonSecretMissing, "the body brings no shared secret and none is known")
	}
	next.SecretVersion = row.SecretVersion
	if next.Newest() != row.Newest() { // however often on the way
		next.SecretVersion++
	}
	next.Site.update(cb.site)
	next.SupersededBy = ""
	next.apply(cb, now)
	outcome := OutcomeUpdated
	if row.State != Installed {
		next.State, next.Disabled = Installed, false
		next.ActivationWatermark = later(next.ActivationWatermark, cb.issuedAt)
		outcome = OutcomeReinstalled
	}
	if row.State == "" {
		outcome = OutcomeInstalled
	}
	return transition{next, outcome, retired}, nil
}

// uninstall takes every secret of a signed row out of use, and keeps those of a symmetric one.
func uninstall(row *Installation, cb callback, now time.Time) (transition, *refusal) {
	if row == nil {
		return transition{outcome: OutcomeUnchanged}, nil
	}
	if done, refusal := row.order(cb); done || refusal != nil {
		return transition{outcome: OutcomeUnchanged}, refusal
	}
	next := row.Clone()
	next.Signing = stricter(row.Signing, cb.signing)
	next.State = Uninstalled
	next.Run = Run{}
	var retired []Fingerprint
	// The next install of an RS256 row needs no secret of ours to be verified; a symmetric one is signed with the last.
	if next.Signing == SignedRS256 {
		next.Contested = false
		all := func(int, StoredSecret) bool { return true }
		next.leave(len(next.Secrets), all)
		retired = next.retire(cb.issuedAt, all)
	}
	next.apply(cb, now)
	return transition{next, OutcomeUninstalled, retired}, nil
}

// activate follows enabled and disabled, which inform only.
func activate(row *Installation, cb callback, now time.Time) (transition, *refusal) {
	if row == nil {
		return transition{}, refuse(ReasonUnknownTenant, "")
	}
	disabled := cb.event == EventDisabled
	switch {
	// Sites send disabled and uninstalled together, in either order: a late disabled must not touch the row.
	case row.State == Uninstalled:
		return transition{outcome: OutcomeUnchanged}, nil
	case cb.issuedAt.Before(row.ActivationWatermark):
		return transition{}, refuse(ReasonStale, "a newer enabled or disabled was applied")
	case cb.issuedAt.Equal(row.ActivationWatermark) && row.Disabled == disabled:
		return transition{outcome: OutcomeUnchanged}, nil
	}
	next := row.Clone()
	next.Disabled = disabled
	next.ActivationWatermark = cb.issuedAt
	next.UpdatedAt = now
	outcome := OutcomeEnabled
	if disabled {
		outcome = OutcomeDisabled
	}
	return transition{next, outcome, nil}, nil
}

// order places an installed or uninstalled callback against the newest one applied. It reports done for one that was
// applied already; an older one is refused, so that a replay rolls nothing back. At equal times arrival decides.
func (i *Installation) order(cb callback) (done bool, _ *refusal) {
	if cb.issuedAt.Before(i.Watermark) {
		return false, refuse(ReasonStale, "a newer callback was applied")
	}
	if cb.signing == Unsigned || !cb.issuedAt.Equal(i.Watermark) {
		return false, nil
	}
	if done = slices.Contains(i.Applied, cb.claim); !done && len(i.Applied) >= maxApplied {
		return false, refuse(ReasonBusy, "too many callbacks within one second")
	}
	return done, nil
}

// apply moves the watermark to the callback and remembers its claim for as long as the watermark stays there.
func (i *Installation) apply(cb callback, now time.Time) {
	if !cb.issuedAt.Equal(i.Watermark) {
		i.Watermark, i.Applied = cb.issuedAt, nil
	}
	if cb.signing != Unsigned {
		i.Applied = append(i.Applied, cb.claim)
	}
	i.UpdatedAt = now
}

// stricter never steps back from RS256.
func stricter(before, now Signing) Signing {
	if before == SignedRS256 {
		return before
	}
	return now
}

// offer makes secret the newest usable one. All earlier ones stay usable: the site goes back to one of them if our
// answer is lost. It returns the secrets that had to go to make room.
func (i *Installation) offer(secret StoredSecret, issuedAt, now time.Time) (evicted []Fingerprint, _ *refusal) {
	fingerprint := secret.Fingerprint
	known := i.find(fingerprint)
	switch {
	case known >= 0 && i.Secrets[known].State == Revoked: // also if the revocation itself is gone
		return nil, refuse(ReasonRevoked, "the offered secret was revoked")
	case known >= 0 && i.Secrets[known].State == Retired && issuedAt.Before(i.Secrets[known].RetiredAt.Add(-maxLeeway)):
		return nil, refuse(ReasonStale, "the offered secret was retired after this callback was made")
	case known >= 0 && i.Secrets[known].State == Usable:
		// Makes no row fuller.
	case i.usable() < maxUsable:
	case i.Signing != SignedRS256, now.Sub(i.Activity.SeenAt) < aliveFor:
		// Nothing but a shared secret lets a symmetric site back in, so none is given up; nor are those of a site that
		// is alive, since its pages will tell which one it kept. It goes back to that one now.
		return nil, refuse(ReasonSecretsFull, "eight secrets are waiting for page loads to tell which one the site kept")
	default:
		evicted = i.evict(now)
	}
	before := i.Newest()
	// By its fingerprint: to make room may have moved it.
	i.Secrets = slices.DeleteFunc(i.Secrets, func(s StoredSecret) bool { return s.Fingerprint == fingerprint })
	secret.OfferedAt = now
	i.Secrets = append(i.Secrets, secret)
	i.forgetOldest()
	if before != fingerprint {
		i.SecretVersion++
	}
	i.LastOffer = later(now, issuedAt)
	i.Run = Run{} // what it proved is remembered, and so is that it was contested
	return evicted, nil
}

// keepSigner makes room in a symmetric row. A site signs a callback with the secret that it had before, so those whose
// own callbacks are long over are not what it will go back to.
func (i *Installation) keepSigner(cb callback, offered Fingerprint, now time.Time, settle time.Duration) (retired []Fingerprint) {
	return i.retire(now, func(_ int, s StoredSecret) bool {
		return s.Fingerprint != cb.signer && s.Fingerprint != offered && s.OfferedAt.Before(cb.issuedAt.Add(-settle))
	})
}

// evict retires the oldest usable secret that the site is least likely to be on.
func (i *Installation) evict(now time.Time) []Fingerprint {
	left := i.usable() - sparedNewest
	for n, s := range i.Secrets {
		if s.State != Usable {
			continue
		}
		if left--; left < 0 {
			break
		}
		if s.Fingerprint == i.Run.Fingerprint || s.Fingerprint == i.Proven {
			continue
		}
		return i.retire(now, func(at int, _ StoredSecret) bool { return at == n })
	}
	return nil
}

// retire takes the usable secrets that match out of use and erases them. The fingerprints stay as history.
func (i *Installation) retire(at time.Time, match func(n int, s StoredSecret) bool) (retired []Fingerprint) {
	for n, s := range i.Secrets {
		if s.State == Usable && match(n, s) {
			i.Secrets[n].State, i.Secrets[n].RetiredAt = Retired, at
			i.Secrets[n].Value, i.Secrets[n].Sealed = Secret{}, nil
			retired = append(retired, s.Fingerprint)
		}
	}
	i.forgetOldest()
	return retired
}

// revoke takes the secrets that match out of use for good and erases them, the retired ones too. What they have proved
// is void.
func (i *Installation) revoke(match func(StoredSecret) bool, at time.Time) {
	newest := i.Newest()
	for n := range i.Secrets {
		s := &i.Secrets[n]
		if !match(*s) {
			continue
		}
		if s.State == Retired {
			s.Bound = false // the site has left it behind
		}
		s.State, s.RetiredAt, s.Value, s.Sealed = Revoked, at, Secret{}, nil
		if i.Run.Fingerprint == s.Fingerprint {
			i.Run = Run{}
		}
		if i.Proven == s.Fingerprint {
			i.Proven = ""
		}
	}
	if i.usable() < 2 {
		i.Contested = false
	}
	if i.Newest() != newest {
		i.SecretVersion++
	}
}

// forgetOldest drops the secrets that were retired first, beyond maxRetired. Revoked ones stay for good, and so do
// bindings: an app-wide secret without an entry would verify again.
func (i *Installation) forgetOldest() {
	for {
		retired, first := 0, -1
		for n, s := range i.Secrets {
			if s.State != Retired || s.Bound {
				continue
			}
			if retired++; first < 0 || s.RetiredAt.Before(i.Secrets[first].RetiredAt) {
				first = n
			}
		}
		if retired <= maxRetired {
			return
		}
		i.Secrets = slices.Delete(i.Secrets, first, first+1)
	}
}

// update takes over what the callback says of the site. What it leaves out is kept: a rename of a site on Forge, for
// one, comes without the installation id.
func (s *Site) update(from Site) {
	stated := from.fields()
	for n, field := range s.fields() {
		if *stated[n] != "" {
			*field = *stated[n]
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
