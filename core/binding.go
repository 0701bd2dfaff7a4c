package core

import (
	"slices"
	"time"
)

// This file holds the rules for app-wide secrets: pure functions of a row and of the secrets that are configured. A
// binding is a secret of the row like any other: it is offered, proved, retired and revoked by the same rules. What is
// different is that its value is not in the row, and that one binding opens the door to all app-wide secrets, since
// replicas are not configured all at once.

// appWide are the fingerprints of the app-wide secrets that are configured and not revoked for the tenant, the newest
// first.
type appWide []Fingerprint

// bound reports whether the site is taken to sign with an app-wide secret: it has a binding that it has not left behind. A
// revocation takes one secret from the row and leaves the others open, since the site will come with another one. A copy,
// which a replica has stored that was not configured with the secret yet, stands for a binding.
func (i *Installation) bound(configured appWide) bool {
	return slices.ContainsFunc(i.Secrets, func(s StoredSecret) bool { return s.binds(configured) })
}

// binds reports whether the secret is an app-wide one that the site has not left behind.
func (s StoredSecret) binds(configured appWide) bool {
	return s.Bound && s.State != Retired || s.State == Usable && slices.Contains(configured, s.Fingerprint)
}

// open returns those app-wide secrets that verify for the row though it has no binding to them. One that the site has
// left behind is not among them.
func (i *Installation) open(configured appWide) appWide {
	if !i.bound(configured) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(configured), func(f Fingerprint) bool { return i.find(f) >= 0 })
}

// accepts reports whether the row verifies with the secret.
func (i *Installation) accepts(f Fingerprint, configured appWide) bool {
	if n := i.find(f); n >= 0 {
		return i.Secrets[n].State == Usable
	}
	return slices.Contains(i.open(configured), f)
}

// bind writes down that a verified token was signed with an app-wide secret to which the row has no binding, and reports
// whether it was so. From then on the row needs that secret. It becomes the newest only if it is newer than every other
// binding: tokens move a site towards newer app-wide secrets, and never away from a secret of its own.
func (i *Installation) bind(f Fingerprint, configured appWide, now time.Time) bool {
	if !slices.Contains(i.open(configured), f) {
		return false
	}
	newest := i.Newest()
	i.Secrets = slices.Insert(i.Secrets, i.place(f, configured), StoredSecret{
		Fingerprint: f, State: Usable, OfferedAt: now, Bound: true, Unoffered: true,
	})
	if i.Newest() != newest {
		i.SecretVersion++
		// Like an offer, and no more: the token may have been made inside a callback that failed.
		i.LastOffer, i.Run = later(i.LastOffer, now), Run{}
	}
	i.UpdatedAt = now
	return true
}

// bindAnew binds a row without a usable secret whose site was sent none, and so signs with an app-wide one: with the one
// that signed the callback or, if that is not known, with the newest or one of the others, which the row needs as well
// until tokens have shown which.
func (i *Installation) bindAnew(cb callback, now time.Time) *refusal {
	i.reopen()
	candidates := cb.appWide
	if n := slices.Index(candidates, cb.signer); n >= 0 {
		candidates = candidates[n : n+1]
	}
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(f Fingerprint) bool {
		n := i.find(f)
		return n >= 0 && i.Secrets[n].State == Revoked
	})
	if len(candidates) == 0 {
		return nil
	}
	newest := StoredSecret{Fingerprint: candidates[0], State: Usable, Bound: true}
	if _, refusal := i.offer(newest, cb.issuedAt, now); refusal != nil {
		return refusal
	}
	for _, f := range candidates[1:] {
		i.bind(f, candidates, now)
	}
	return nil
}

// place returns the index at which a binding stands: before the first one that is not older, and there behind the older
// ones, of which every revoked one is. One that is not configured here may be newer: other replicas may be ahead.
func (i *Installation) place(f Fingerprint, configured appWide) int {
	older := configured[slices.Index(configured, f)+1:]
	end := slices.IndexFunc(i.Secrets, func(s StoredSecret) bool {
		return s.binds(configured) && s.State != Revoked && !slices.Contains(older, s.Fingerprint)
	})
	if end < 0 {
		end = len(i.Secrets)
	}
	for n, s := range slices.Backward(i.Secrets[:end]) {
		if s.binds(configured) {
			return n + 1
		}
	}
	return end
}

// leave notes which bindings the site has left behind, and which it has not come to. One that was revoked binds it no more.
// To a newer one it may still go on without a callback, so that one is dropped, and not kept as left behind.
func (i *Installation) leave(kept int, left func(n int, s StoredSecret) bool) (dropped []Fingerprint) {
	for n, s := range slices.Backward(i.Secrets) {
		switch {
		case !s.Bound || !left(n, s):
		case s.State == Revoked:
			i.Secrets[n].Bound = false
		case n > kept && i.Secrets[kept].Bound:
			i.Secrets = slices.Delete(i.Secrets, n, n+1)
			dropped = append(dropped, s.Fingerprint)
		}
	}
	return dropped
}

// keepLeftBehind marks the copies of app-wide secrets that the site has left behind, so that they are not forgotten: without
// an entry they would verify again. It returns the row itself if there are none.
func (i *Installation) keepLeftBehind(configured appWide) *Installation {
	copies := func(s StoredSecret) bool {
		return s.State == Retired && !s.Bound && slices.Contains(configured, s.Fingerprint)
	}
	if !slices.ContainsFunc(i.Secrets, copies) {
		return i
	}
	next := i.Clone()
	for n, s := range next.Secrets {
		next.Secrets[n].Bound = s.Bound || copies(s)
	}
	return next
}

// reopen lets those app-wide secrets verify again that the site had left behind, be they configured here or not.
func (i *Installation) reopen() {
	i.Secrets = slices.DeleteFunc(i.Secrets, func(s StoredSecret) bool { return s.Bound && s.State == Retired })
}
