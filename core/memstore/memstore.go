// Package memstore keeps installations in memory. It is for tests and for trying things out in a single process, and
// it is the reference that package storetest is proved on.
//
// It is not for production. A restart forgets every shared secret, and a site does not send its secret again of its own
// accord: each one stays locked out until its next installed callback. Two processes share nothing, so a secret that
// one of them was sent, or told to revoke, is unknown to the other.
package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hostbond/hostbond/core"
)

// Store is a [core.Store] in memory. The zero value is empty and ready for use. It must not be copied.
type Store struct {
	mu           sync.Mutex
	lastRevision int64 // one sequence for all keys, so that a deleted row leaves nothing behind
	rows         map[core.Key]core.Installation
	claims       []core.Claim // the unexpired ones, so there are few
	revocations  []core.Revocation
}

var _ core.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return new(Store) }

// Get returns the installation under key, or [core.ErrNotFound].
func (s *Store) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()

	row, ok := s.rows[key]
	if !ok {
		return nil, core.ErrNotFound
	}
	return row.Clone(), nil
}

// Put writes the installation if the stored revision is still its own, else it returns [core.ErrConflict].
func (s *Store) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()

	stored := s.rows[installation.Key] // the zero installation if there is none, which is at revision 0
	if installation.Revision != stored.Revision {
		return 0, core.ErrConflict
	}

	row := installation.Clone()
	cutTimes(row)
	eraseCopies(row)
	s.lastRevision++
	row.Revision = s.lastRevision
	row.Activity = stored.Activity // Touch alone writes it, perhaps after the caller has read
	if s.rows == nil {
		s.rows = make(map[core.Key]core.Installation)
	}
	s.rows[row.Key] = *row
	return row.Revision, nil
}

// Delete removes the row if its revision is the one given, else it returns [core.ErrConflict]; [core.ErrNotFound] if
// there is none.
func (s *Store) Delete(ctx context.Context, key core.Key, revision int64) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()

	row, ok := s.rows[key]
	if !ok {
		return core.ErrNotFound
	}
	if row.Revision != revision {
		return core.ErrConflict
	}
	delete(s.rows, key)
	return nil
}

// List returns at most limit installations of the app with client keys greater than after, in ascending byte order.
func (s *Store) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()

	keys := s.keys(appKey, func(row core.Installation) bool { return row.Key.ClientKey > after })
	keys = keys[:min(len(keys), max(limit, 0))]

	page := make([]*core.Installation, 0, len(keys))
	for _, key := range keys {
		row := s.rows[key]
		page = append(page, row.Clone())
	}
	return page, nil
}

// Find returns the keys of the app's installations with the given value, in ascending byte order of the client key.
// It returns an error for a property that it does not know.
func (s *Store) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	var property func(core.Site) string
	switch by {
	case core.ByBaseURL:
		property = func(site core.Site) string { return site.BaseURL }
	case core.ByInstallationID:
		property = func(site core.Site) string { return site.InstallationID }
	default:
		return nil, fmt.Errorf("memstore: cannot find installations by %q", by)
	}

	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()

	return s.keys(appKey, func(row core.Installation) bool { return value != "" && property(row.Site) == value }), nil
}

// Bindings counts the installed installations of the app by the app-wide secrets that they need.
func (s *Store) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()

	counts := make(map[core.Fingerprint]int)
	for key, row := range s.rows {
		if key.AppKey != appKey || row.State != core.Installed {
			continue
		}
		for _, secret := range row.Secrets {
			if secret.Bound && secret.State == core.Usable {
				counts[secret.Fingerprint]++
			}
		}
	}
	return counts, nil
}

// Touch records activity. A missing row is [core.ErrNotFound].
func (s *Store) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()

	row, ok := s.rows[key]
	if !ok {
		return core.ErrNotFound
	}
	// A zero time is after none, so what the caller left out stays as it is. What belongs to a time moves with it or not
	// at all.
	if at := cut(activity.SeenAt); at.After(row.Activity.SeenAt) {
		row.Activity.SeenAt = at
	}
	if at := cut(activity.RefusedAt); at.After(row.Activity.RefusedAt) {
		row.Activity.RefusedAt, row.Activity.RefusedReason = at, activity.RefusedReason
	}
	if at := cut(activity.FirstUsedAt); at.After(row.Activity.FirstUsedAt) {
		row.Activity.FirstUsedAt, row.Activity.FirstUsed = at, activity.FirstUsed
	}
	if at := cut(activity.DesyncSuspectedAt); at.After(row.Activity.DesyncSuspectedAt) {
		row.Activity.DesyncSuspectedAt = at
	}
	s.rows[key] = row
	return nil
}

// Claim stores the claim if there is none under its app key and ID, and returns the stored one. It forgets claims
// that expired before claim.At.
func (s *Store) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	if err := s.lock(ctx); err != nil {
		return core.Claim{}, err
	}
	defer s.mu.Unlock()

	claim.At, claim.ExpiresAt = cut(claim.At), cut(claim.ExpiresAt)
	s.claims = slices.DeleteFunc(s.claims, func(c core.Claim) bool { return c.ExpiresAt.Before(claim.At) })
	for _, first := range s.claims {
		if first.AppKey == claim.AppKey && first.ID == claim.ID {
			return first, nil
		}
	}
	s.claims = append(s.claims, claim)
	return claim, nil
}

// Revoke stores the revocation, unless there is one of that app key, client key and fingerprint.
func (s *Store) Revoke(ctx context.Context, revocation core.Revocation) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()

	for _, first := range s.revocations {
		if first.AppKey == revocation.AppKey &&
			first.ClientKey == revocation.ClientKey &&
			first.Fingerprint == revocation.Fingerprint {
			return nil
		}
	}
	revocation.At = cut(revocation.At)
	s.revocations = append(s.revocations, revocation)
	return nil
}

// Revocations returns every revocation of the app, in no particular order.
func (s *Store) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()

	others := func(r core.Revocation) bool { return r.AppKey != appKey }
	return slices.DeleteFunc(slices.Clone(s.revocations), others), nil
}

// lock gives the caller the store to itself, until it unlocks s.mu. A caller who has given up gets his error instead,
// as from a database.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	return nil
}

// keys returns the keys of the app's matching rows, in ascending byte order of the client key.
func (s *Store) keys(appKey string, match func(core.Installation) bool) []core.Key {
	var keys []core.Key
	for key, row := range s.rows {
		if key.AppKey == appKey && match(row) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b core.Key) int { return cmp.Compare(a.ClientKey, b.ClientKey) })
	return keys
}

// cutTimes cuts every time of the row that Put writes.
func cutTimes(row *core.Installation) {
	for n := range row.Secrets {
		secret := &row.Secrets[n]
		secret.OfferedAt, secret.RetiredAt = cut(secret.OfferedAt), cut(secret.RetiredAt)
	}
	for _, t := range []*time.Time{
		&row.LastOffer, &row.Run.StartedAt, &row.Run.ArrivedAt,
		&row.Watermark, &row.ActivationWatermark, &row.CreatedAt, &row.UpdatedAt,
	} {
		*t = cut(*t)
	}
}

// eraseCopies erases what a binding has no use for, were it handed one: a copy of the app-wide secret.
func eraseCopies(row *core.Installation) {
	for n := range row.Secrets {
		if secret := &row.Secrets[n]; secret.Bound {
			secret.Value, secret.Sealed = core.Secret{}, nil
		}
	}
}

// cut returns t as every store does: whole seconds, in UTC.
func cut(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
