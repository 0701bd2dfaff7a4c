package core

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// Revoke takes a shared secret out of use for good, for the tenant of revocation.ClientKey, or for every tenant if that
// is empty. AppKey and At are filled in. It returns how many installations had the secret and lose it.
//
// From then on it verifies no request and no callback, and no callback brings it back: here when Revoke returns, on other
// replicas within Config.CacheTTL, or within Config.MaxStale on one that is cut off from its store. A site that has no
// other secret is locked out until its next installed callback with another one: see [App.Exposure].
//
// The revocation itself is stored first. After an error call Revoke again; what is done stays done.
func (a *App) Revoke(ctx context.Context, revocation Revocation) (installations int, err error) {
	if !revocation.Fingerprint.valid() {
		return 0, errors.New("hostbond: Revoke: Fingerprint: is not the SHA-256 of a secret in lower-case hex")
	}
	if revocation.Reason == "" {
		return 0, errors.New("hostbond: Revoke: Reason: is empty")
	}
	revocation.AppKey, revocation.At = a.config.AppKey, wholeSeconds(a.config.Now())
	_, err = within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.config.Store.Revoke(ctx, revocation)
	})
	if err != nil {
		return 0, fmt.Errorf("hostbond: the revocation could not be stored: %w", err)
	}
	a.tenants.revoke(revocation)
	// That bars the secret already. The rows are to say so too, so that nothing is left of it.
	for row, err := range a.holders(ctx, revocation) {
		if err != nil {
			return installations, fmt.Errorf("hostbond: the revocation is stored, but not every installation was gone through: %w", err)
		}
		if err := a.strike(ctx, row.Key); err != nil {
			return installations, fmt.Errorf("hostbond: the revocation is stored, but not in every installation: %w", err)
		}
		installations++
	}
	a.log.WarnContext(ctx, "shared secret revoked", "secret", revocation.Fingerprint.Short(),
		"client_key", revocation.ClientKey, "reason", revocation.Reason, "installations", installations)
	return installations, nil
}

// strike writes down that the revoked secrets of a row are.
func (a *App) strike(ctx context.Context, key Key) error {
	for range maxAttempts {
		row, _, err := a.load(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		// Reading it has taken the secret out already.
		if err = a.save(ctx, row); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return errors.New("hostbond: others kept changing the installation")
}

// holders goes through the installations in which the secret still is what it was.
func (a *App) holders(ctx context.Context, revocation Revocation) iter.Seq2[*Installation, error] {
	return func(yield func(*Installation, error) bool) {
		for row, err := range a.installations(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if revocation.ClientKey != "" && revocation.ClientKey != row.Key.ClientKey {
				continue
			}
			if i := row.find(revocation.Fingerprint); i >= 0 && row.Secrets[i].State != Revoked && !yield(row, nil) {
				return
			}
		}
	}
}

// Standing says what a site has besides a secret that may be revoked.
type Standing string

// The standings.
const (
	StandingReplaced  Standing = "replaced"  // the site has been seen to sign with another secret since the last offer
	StandingUnsettled Standing = "unsettled" // there are others, and it is not known yet which one the site signs with
	StandingOnly      Standing = "only"      // there is no other: without it the site is locked out until its next install
)

// Exposed is an installation for which a secret verifies.
type Exposed struct {
	Key      Key
	BaseURL  string
	Standing Standing
}

// Exposure goes through the installations for which the secret verifies, in the order of their client keys: those that
// [App.Revoke] would take it from, and what they would be left with. It ends with the first error.
func (a *App) Exposure(ctx context.Context, f Fingerprint) iter.Seq2[Exposed, error] {
	return func(yield func(Exposed, error) bool) {
		for row, err := range a.installations(ctx) {
			if err != nil {
				yield(Exposed{}, fmt.Errorf("hostbond: not every installation was gone through: %w", err))
				return
			}
			i := row.find(f)
			if i < 0 || row.Secrets[i].State != Usable {
				continue
			}
			if !yield(Exposed{row.Key, row.Site.BaseURL, row.standing(f)}, nil) {
				return
			}
		}
	}
}

func (i *Installation) standing(f Fingerprint) Standing {
	switch {
	case i.usable() == 1:
		return StandingOnly
	case i.Run.Fingerprint != "" && i.Run.Fingerprint != f && !i.Contested:
		return StandingReplaced
	default:
		return StandingUnsettled
	}
}

// installations goes through all rows of the app, a page at a time. It ends with the first error.
func (a *App) installations(ctx context.Context) iter.Seq2[*Installation, error] {
	return func(yield func(*Installation, error) bool) {
		for after := ""; ; {
			rows, err := within(ctx, func(ctx context.Context) ([]*Installation, error) {
				return a.config.Store.List(ctx, a.config.AppKey, after, pageOfRows)
			})
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
