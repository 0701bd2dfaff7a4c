package gormstore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Put writes the installation if the stored revision is still its own, else it returns [core.ErrConflict]. Its shared
// secrets are sealed with the sealer's current key, also those that were stored under an older one.
func (s *Store) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	key := installation.Key
	if err := errors.Join(fits("app key", key.AppKey, maxKey), fits("client key", key.ClientKey, maxKey)); err != nil {
		return 0, err
	}
	row, err := s.row(installation)
	if err != nil {
		return 0, err
	}

	// A new installation replaces a tombstone, so that the same statement writes every row, and lets a single writer
	// through.
	stored, tombstone := installation.Revision, installation.Revision == 0
	if tombstone {
		if stored, err = s.tombstone(ctx, key); err != nil {
			return 0, err
		}
	}
	row.Revision = stored + 1
	swapped, err := s.swap(ctx, "put installation", key, stored, tombstone, row, activityColumns)
	if err != nil {
		return 0, err
	}
	if !swapped {
		return 0, core.ErrConflict
	}
	return row.Revision, nil
}

// Reseal seals the secrets of all of the app's installations anew, by putting every row, so that keys which the sealer no
// longer seals with are not needed any more. It may be called at any time, and again after an error. Secrets that do not
// open stay as they are.
func (s *Store) Reseal(ctx context.Context, appKey string) error {
	for after := ""; ; {
		page, err := s.List(ctx, appKey, after, resealPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, installation := range page {
			// A conflict is as good: whoever has changed the row has sealed it too.
			if _, err := s.Put(ctx, installation); err != nil && !errors.Is(err, core.ErrConflict) {
				return err
			}
			after = installation.Key.ClientKey
		}
	}
}

// resealPage is how many installations Reseal holds in memory.
const resealPage = 100

// tombstone returns the revision of the row under key. If there is none it makes a tombstone.
func (s *Store) tombstone(ctx context.Context, key core.Key) (revision int64, err error) {
	row, err := s.lookup(ctx, key)
	if err != nil {
		return 0, err
	}
	if row != nil {
		return row.Revision, nil
	}
	// Whether this one or a rival's gets in does not matter, as they are the same. How many rows were affected would
	// not tell: with clientFoundRows in its DSN, MySQL counts one that it left alone.
	return 0, s.insert(ctx, "put installation", &installationRow{
		AppKey: text(key.AppKey), ClientKey: text(key.ClientKey), Deleted: true,
	})
}

// Delete removes the row if its revision is the one given, else it returns [core.ErrConflict]; [core.ErrNotFound] if
// there is none. What stays is the key and the revision.
func (s *Store) Delete(ctx context.Context, key core.Key, revision int64) error {
	if err := s.exists(ctx, key); err != nil {
		return err
	}
	tombstone := &installationRow{Revision: revision, Deleted: true}
	swapped, err := s.swap(ctx, "delete installation", key, revision, false, tombstone, nil)
	if err != nil || swapped {
		return err
	}
	// Another one may have deleted it in between, which is no conflict.
	if err := s.exists(ctx, key); err != nil {
		return err
	}
	return core.ErrConflict
}

// exists returns [core.ErrNotFound] if there is no installation under key.
func (s *Store) exists(ctx context.Context, key core.Key) error {
	row, err := s.lookup(ctx, key)
	if err == nil && (row == nil || row.Deleted) {
		return core.ErrNotFound
	}
	return err
}

// swap replaces the row under key, but for the columns to keep, if it is at the revision and a tombstone or not. It
// reports whether it was.
func (s *Store) swap(
	ctx context.Context, what string, key core.Key, revision int64, tombstone bool, row *installationRow, keep []string,
) (swapped bool, err error) {
	err = s.run(ctx, what, func(db *gorm.DB) error {
		result := keyed(db, key).Where("revision = ? AND deleted = ?", revision, tombstone).
			Select("*").Omit(slices.Concat(keyColumns, keep)...).UpdateColumns(row)
		swapped = result.RowsAffected == 1
		return result.Error
	})
	return swapped, err
}

// insert stores the row unless there is one with its primary key.
func (s *Store) insert(ctx context.Context, what string, row any) error {
	return s.run(ctx, what, func(db *gorm.DB) error {
		return db.Clauses(clause.OnConflict{DoNothing: true}).Create(row).Error
	})
}

// Touch records activity. What belongs to a time is written with it or not at all. A missing row is [core.ErrNotFound].
func (s *Store) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	if err := s.exists(ctx, key); err != nil {
		return err
	}
	for _, fact := range []struct {
		column string
		at     time.Time
		others map[string]any // what belongs to the time
	}{
		{"seen_at", activity.SeenAt, nil},
		{"refused_at", activity.RefusedAt, map[string]any{"refused_reason": text(activity.RefusedReason)}},
		{"first_used_at", activity.FirstUsedAt, map[string]any{"first_used": text(activity.FirstUsed)}},
		{"desync_suspected_at", activity.DesyncSuspectedAt, nil},
	} {
		if fact.at.IsZero() {
			continue
		}
		if err := s.forward(ctx, key, fact.column, fact.at, fact.others); err != nil {
			return err
		}
	}
	return nil
}

// forward sets a time, and other columns with it, if that is later than the stored one. It finds that out as it writes,
// since another replica may do the same at once.
func (s *Store) forward(ctx context.Context, key core.Key, column string, at time.Time, others map[string]any) error {
	columns := map[string]any{column: at.Unix()}
	maps.Copy(columns, others)
	return s.run(ctx, "touch installation", func(db *gorm.DB) error {
		stored := clause.Column{Name: column}
		return keyed(db, key).Where("NOT deleted AND (? IS NULL OR ? < ?)", stored, stored, at.Unix()).
			UpdateColumns(columns).Error
	})
}
