package core

import (
	"context"
	"errors"
	"slices"
	"time"
)

// retiredHistory is how long the fingerprint of a retired secret is kept.
const retiredHistory = 90 * 24 * time.Hour

// Maintenance counts what [App.Maintain] found.
type Maintenance struct {
	Installed   int // installations on which the app is installed
	Uninstalled int
	Unsettled   int // installed, with more than one usable secret
	Contested   int // installed, and signing with another secret though none was offered
	Unreadable  int // with a secret that the store could not open
	Forgotten   int // fingerprints of secrets retired long ago that were dropped
}

// Maintain walks over all installations, drops what is kept for history only and is older than 90 days, and counts.
// Call it once a day from the app's scheduler, or set Config.MaintainEvery; several replicas may do so at once. It can
// be cancelled at any point.
func (a *App) Maintain(ctx context.Context) (Maintenance, error) {
	var m Maintenance
	revoked, err := a.tenants.revocations.read(ctx)
	if err != nil {
		return m, err
	}
	for stored, err := range a.installations(ctx) {
		if err != nil {
			return m, err
		}
		// Of what a callback brought while it was being revoked, nothing is to be left.
		row := revoked.strike(stored).keepLeftBehind(a.appWide(stored.Key.ClientKey, revoked))
		m.count(row)
		forgotten := row.forgetRetired(wholeSeconds(a.config.Now()).Add(-retiredHistory))
		if forgotten == 0 && row == stored {
			continue
		}
		switch err := a.save(ctx, stored, row); {
		case err == nil:
			m.Forgotten += forgotten
		case !errors.Is(err, ErrConflict): // whoever changed the row meanwhile goes first; there is always tomorrow
			return m, err
		}
	}
	return m, nil
}

// maintain is Maintain on a ticker.
func (a *App) maintain(ctx context.Context) {
	defer a.recovered(ctx, "Store")
	m, err := a.Maintain(ctx)
	if err != nil {
		a.log.WarnContext(ctx, "maintenance was not finished", "error", err)
		return
	}
	a.log.InfoContext(ctx, "maintenance", "installed", m.Installed, "uninstalled", m.Uninstalled,
		"unsettled", m.Unsettled, "contested", m.Contested, "unreadable", m.Unreadable, "forgotten", m.Forgotten)
}

func (m *Maintenance) count(row *Installation) {
	if slices.ContainsFunc(row.Secrets, StoredSecret.Unreadable) {
		m.Unreadable++
	}
	if row.State != Installed {
		m.Uninstalled++
		return
	}
	m.Installed++
	if row.usable() > 1 {
		m.Unsettled++
	}
	if row.Contested {
		m.Contested++
	}
}

// forgetRetired drops secrets that were retired before the given time and returns how many. Bindings stay: see
// forgetOldest.
func (i *Installation) forgetRetired(before time.Time) int {
	kept := len(i.Secrets)
	i.Secrets = slices.DeleteFunc(i.Secrets, func(s StoredSecret) bool {
		return s.State == Retired && !s.Bound && s.RetiredAt.Before(before)
	})
	return kept - len(i.Secrets)
}
