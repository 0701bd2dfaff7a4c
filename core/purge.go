package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// leastPurgeAge is longer than any callback's token lives, so that none brings back what was purged.
	leastPurgeAge = 24 * time.Hour
	// silentFor is how long an installed site must have given no sign of life before it can be erased.
	silentFor = 30 * 24 * time.Hour
	// callbackEcho is longer than the token of a callback is accepted by any clock: maxCallbackLife and claimMargin.
	callbackEcho = time.Hour
)

// ErrAlive is returned by [App.Erase] for an installation that is in use, or whose last callback was made too short a
// while ago.
var ErrAlive = errors.New("hostbond: the installation is alive")

// Purge deletes the installations that are not installed and had their last callback longer than olderThan ago, which
// is at least a day. What it deletes, and what becomes of it, is as with [App.Erase]. Call it from the app's scheduler
// once the time has passed for which you keep what you know of former customers.
//
// One that somebody else changes at that moment is left alone and skipped: the site may have come back. Purge may be
// called beside live traffic, by several replicas at once, and again after an error or a crash. It ends with the first
// error, which names the client key that it concerns, and returns what was done until then.
func (a *App) Purge(ctx context.Context, olderThan time.Duration, b Batch) (Moved, error) {
	if olderThan < leastPurgeAge {
		return Moved{Next: b.After}, fmt.Errorf("hostbond: purge: %v is less than a day", olderThan)
	}
	m, err := a.walk(ctx, b, func() (visit, error) {
		return func(row *Installation) (moved, left bool, err error) {
			if !row.leftBefore(a.config.Now().Add(-olderThan)) {
				return false, false, nil
			}
			if b.DryRun {
				return true, false, nil
			}
			err = a.erase(ctx, row)
			if errors.Is(err, ErrNotFound) {
				return false, false, nil
			}
			return err == nil, false, err
		}, nil
	})
	a.logWalk(ctx, "walk to purge installations has ended", b, m, err)
	return m, err
}

// Erase deletes one installation, at the request of its site, say: first its secrets, then the rest. Nothing is left of it
// but what was revoked, as fingerprints, and its client key, where another installation names it in SupersededBy or the
// store needs it, as gormstore does. Other replicas forget it within Config.CacheTTL.
//
// If the site installs the app again, that is a first install, [OutcomeInstalled] with SecretVersion 1, by the rules for
// tenants that are not known: a site that signs its callbacks with its shared secret can sign with none that is known here.
//
// SecretVersion begins anew, so an app that compares it drops what it keeps of the tenant by itself.
//
// The error is [ErrNotFound] if there is no such installation. It is [ErrAlive] if the app is installed on the site,
// has a usable secret, and a request or a callback has come within the last 30 days; and within an hour of the last
// callback in any case, since whoever has logged it could send it again and bring the installation back. After any
// other error call Erase again.
func (a *App) Erase(ctx context.Context, clientKey string) error {
	for range maxAttempts {
		row, err := a.get(ctx, Key{a.config.AppKey, clientKey})
		if err != nil {
			return fmt.Errorf("hostbond: the installation could not be read: %w", err)
		}
		if err := row.mayBeErased(a.config.Now()); err != nil {
			return err
		}
		switch err := a.erase(ctx, row); {
		case err == nil, errors.Is(err, ErrNotFound):
			return nil
		case !errors.Is(err, ErrConflict):
			return fmt.Errorf("hostbond: the installation could not be erased: %w", err)
		}
	}
	return errContended
}

// leftBefore reports whether the app is not installed, and no callback has come since the time.
func (i *Installation) leftBefore(at time.Time) bool {
	return i.State != Installed && i.lastCallback().Before(at)
}

// lastCallback is by the site's clock or by ours, whichever is later.
func (i *Installation) lastCallback() time.Time { return later(i.Watermark, i.UpdatedAt) }

// mayBeErased returns nil, or why not.
func (i *Installation) mayBeErased(now time.Time) error {
	sign := i.lastCallback()
	for _, at := range []time.Time{i.ActivationWatermark, i.Activity.SeenAt, i.Activity.FirstUsedAt} {
		sign = later(sign, at)
	}
	switch {
	case i.State == Installed && i.usable() > 0 && now.Sub(sign) <= silentFor:
		return fmt.Errorf("%w: the app is installed, and the site was there on %s", ErrAlive, sign.Format(time.DateOnly))
	case now.Sub(i.lastCallback()) <= callbackEcho:
		return fmt.Errorf("%w: its last callback could be sent again; try in an hour", ErrAlive)
	default:
		return nil
	}
}

// empty takes away what the row verifies with. It stays as old as it is, so that it can still be purged if the deletion
// does not follow.
func (i *Installation) empty() {
	i.State, i.Secrets, i.Run, i.Proven, i.Contested = Uninstalled, nil, Run{}, "", false
}

// erase deletes the row, secrets first. It returns [ErrConflict] if somebody came between, and [ErrNotFound] if somebody
// else has deleted it.
func (a *App) erase(ctx context.Context, row *Installation) error {
	emptied := row.Clone()
	emptied.empty()
	if err := a.save(ctx, row, emptied); err != nil {
		return err
	}
	deleting := a.config.Now()
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.config.Store.Delete(ctx, emptied.Key, emptied.Revision)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	a.tenants.forget(emptied.Key.ClientKey, emptied.Revision, deleting)
	a.log.InfoContext(ctx, "installation erased", "client_key", emptied.Key.ClientKey)
	return err
}
