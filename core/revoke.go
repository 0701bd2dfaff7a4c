package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
)

// RevokeFor takes a shared secret out of use for good, for one tenant. It is an error, [ErrNotFound], if the tenant is not
// known. See [App.Revoke] for the rest.
func (a *App) RevokeFor(ctx context.Context, clientKey string, f Fingerprint, reason string) error {
	row, _, err := a.load(ctx, Key{a.config.AppKey, clientKey})
	if err != nil {
		return fmt.Errorf("hostbond: the installation could not be read: %w", err)
	}
	only := func(yield func(*Installation, error) bool) { yield(row, nil) }
	_, err = a.revoke(ctx, Revocation{ClientKey: clientKey, Fingerprint: f, Reason: reason}, only)
	return err
}

// Revoke takes a shared secret out of use for good, for every tenant. It returns how many installations had it and lose
// it, as a usable secret or in their history. The reason is the operator's own words, and is logged.
//
// From then on it verifies no request and no callback, and no callback brings it back: here when Revoke returns, on other
// replicas within Config.CacheTTL, or within Config.MaxStale on one that is cut off from its store. [App.Exposure] says
// beforehand whom that leaves without a secret. Config.OnSecretChanged is called for each installation whose newest
// secret it was, Config.OnChange is not.
//
// The revocation itself is stored first, and cannot be undone. If an installation could not be written, the secret is
// barred all the same; call Revoke again to go on.
func (a *App) Revoke(ctx context.Context, f Fingerprint, reason string) (installations int, err error) {
	return a.revoke(ctx, Revocation{Fingerprint: f, Reason: reason}, a.installations(ctx))
}

// revoke stores the revocation, makes it known here, and then writes it into the rows, so that nothing is left of the
// secret.
func (a *App) revoke(ctx context.Context, revocation Revocation, rows iter.Seq2[*Installation, error]) (installations int, err error) {
	switch {
	case !revocation.Fingerprint.valid():
		return 0, errors.New("hostbond: revoke: the fingerprint is not the SHA-256 of a secret in lower-case hex")
	case revocation.Reason == "":
		return 0, errors.New("hostbond: revoke: the reason is empty")
	}
	revocation.AppKey, revocation.At = a.config.AppKey, wholeSeconds(a.config.Now())
	_, err = within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.config.Store.Revoke(ctx, revocation)
	})
	if err != nil {
		return 0, fmt.Errorf("hostbond: the revocation could not be stored: %w", err)
	}
	a.tenants.revoke(revocation)
	a.log.WarnContext(ctx, "shared secret revoked",
		"secret", revocation.Fingerprint.Short(), "client_key", revocation.ClientKey, "reason", revocation.Reason)
	for row, stopped := range rows {
		if stopped = cmp.Or(stopped, ctx.Err()); stopped != nil {
			err = errors.Join(err, stopped)
			break
		}
		if i := row.find(revocation.Fingerprint); i < 0 || row.Secrets[i].State == Revoked {
			continue
		}
		struck, failed := a.strike(ctx, row.Key, newRevoked([]Revocation{revocation}, nil, revocation.At))
		if failed != nil { // the others are to be rid of it all the same
			err = errors.Join(err, fmt.Errorf("client key %q: %w", row.Key.ClientKey, failed))
		}
		if struck {
			installations++
		}
	}
	a.log.InfoContext(ctx, "installations lost a revoked secret",
		"secret", revocation.Fingerprint.Short(), "installations", installations, "failed", err != nil)
	if err != nil {
		err = fmt.Errorf("hostbond: the secret is revoked, but installations may still have it: %w", err)
	}
	return installations, err
}

// strike writes down that a secret of a row is revoked. It reports whether there was something to write.
func (a *App) strike(ctx context.Context, key Key, revoked *revoked) (bool, error) {
	return a.change(ctx, key, nil, revoked.strike)
}

// Standing says what a site has besides a secret that may be revoked.
type Standing string

// The standings.
const (
	StandingReplaced  Standing = "replaced"  // the site has been seen to sign with another secret since the last offer
	StandingUnsettled Standing = "unsettled" // there are others, and it is not known yet which one the site signs with
	StandingInUse     Standing = "in_use"    // there are others, but this is the one that the site was last seen to sign with
	// StandingOnly: there is no other, and the site is locked out until its next signed install, or until it comes with
	// another app-wide secret, if this is one.
	StandingOnly Standing = "only"
	// StandingOnlyKey is StandingOnly of a site that signs its callbacks with the secret: it is locked out until Atlassian
	// signs its installs.
	StandingOnlyKey Standing = "only_key"
)

// Exposed is an installation for which a secret verifies.
type Exposed struct {
	Key      Key
	BaseURL  string
	Standing Standing
}

// Exposure goes through the installations for which the secret verifies, requests or callbacks, in the order of their
// client keys, and what they would be left with once it is revoked. [App.Revoke] counts others: those that have it written
// down, as a secret or in their history. It ends with the first error.
func (a *App) Exposure(ctx context.Context, f Fingerprint) iter.Seq2[Exposed, error] {
	return func(yield func(Exposed, error) bool) {
		revoked, err := a.tenants.revocations.read(ctx)
		if err != nil {
			yield(Exposed{}, fmt.Errorf("hostbond: the revocations could not be read: %w", err))
			return
		}
		for row, err := range a.installations(ctx) {
			if err != nil {
				yield(Exposed{}, fmt.Errorf("hostbond: not every installation was gone through: %w", err))
				return
			}
			row = revoked.strike(row)
			configured := a.appWide(row.Key.ClientKey, revoked)
			if !row.accepts(f, configured) {
				continue
			}
			if !yield(Exposed{row.Key, row.Site.BaseURL, row.standing(f)}, nil) {
				return
			}
		}
	}
}

// standing goes by what the row has. An app-wide secret that it has no entry for may be what the site comes with next, but
// is nothing that the site was sent.
func (i *Installation) standing(f Fingerprint) Standing {
	others := i.usable()
	if i.find(f) >= 0 {
		others--
	}
	switch {
	case others == 0 && i.Signing != SignedRS256:
		return StandingOnlyKey
	case others == 0:
		return StandingOnly
	case i.Run.Fingerprint == f && !i.Contested:
		return StandingInUse
	case i.Run.Fingerprint != "" && i.Run.Fingerprint != f && !i.Contested:
		return StandingReplaced
	default:
		return StandingUnsettled
	}
}

// installations goes through all rows of the app as they are stored, a page at a time. It ends with the first error.
func (a *App) installations(ctx context.Context) iter.Seq2[*Installation, error] {
	return func(yield func(*Installation, error) bool) {
		for after := ""; ; {
			rows, err := a.page(ctx, after, pageOfRows)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(rows) == 0 {
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			after = rows[len(rows)-1].Key.ClientKey
		}
	}
}

// pageOfRows is how many rows are read at once.
const pageOfRows = 200
