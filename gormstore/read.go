package gormstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
)

// keyed selects the row under key, tombstone or not.
func keyed(db *gorm.DB, key core.Key) *gorm.DB {
	return db.Model(&installationRow{}).Where("app_key = ? AND client_key = ?", text(key.AppKey), text(key.ClientKey))
}

// lookup reads the row under key, tombstone or not; nil stands for none.
func (s *Store) lookup(ctx context.Context, key core.Key) (*installationRow, error) {
	// A client key comes from whoever sends a request. One that no row can have is answered here: PostgreSQL would call
	// it an error, which reads as "the store is down".
	if !storable(key.AppKey) || !storable(key.ClientKey) {
		return nil, nil
	}
	var rows []installationRow // and not a single one, since for GORM a missing one is an error to be logged
	err := s.run(ctx, "get installation", func(db *gorm.DB) error { return keyed(db, key).Limit(1).Find(&rows).Error })
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// Get returns the installation under key, or [core.ErrNotFound].
func (s *Store) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	row, err := s.lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	if row == nil || row.Deleted {
		return nil, core.ErrNotFound
	}
	return s.installation(row), nil
}

// List returns at most limit installations of the app whose client keys are greater than after, in ascending byte order.
func (s *Store) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	if limit <= 0 {
		return nil, nil // to GORM a negative limit is none
	}
	var rows []installationRow
	err := s.run(ctx, "list installations", func(db *gorm.DB) error {
		return db.Where("app_key = ? AND client_key > ? AND NOT deleted", text(appKey), text(after)).
			Order("client_key").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	list := make([]*core.Installation, len(rows))
	for n := range rows {
		list[n] = s.installation(&rows[n])
	}
	return list, nil
}

// Find returns the keys of the app's installations with the given value, in ascending byte order of the client key.
func (s *Store) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	var where string
	switch by {
	case core.ByBaseURL:
		where = "app_key = ? AND base_url_digest = ? AND base_url = ? AND NOT deleted"
	case core.ByInstallationID:
		where = "app_key = ? AND installation_id_digest = ? AND installation_id = ? AND NOT deleted"
	default:
		return nil, fmt.Errorf("gormstore: find installations: unknown property %q", by)
	}
	if value == "" || !storable(value) {
		return nil, nil
	}
	var rows []installationRow
	err := s.run(ctx, "find installations", func(db *gorm.DB) error {
		return db.Select(keyColumns).Where(where, text(appKey), digest(value), text(value)).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	// Sorted here, since ORDER BY can make a planner read every row of the app in the order of the primary key.
	slices.SortFunc(rows, func(a, b installationRow) int { return cmp.Compare(a.ClientKey, b.ClientKey) })
	keys := make([]core.Key, len(rows))
	for n, row := range rows {
		keys[n] = core.Key{AppKey: string(row.AppKey), ClientKey: string(row.ClientKey)}
	}
	return keys, nil
}
