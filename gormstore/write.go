package gormstore

import (
	"context"
	"errors"
	"slices"

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

// Touch records activity. A reason goes with its time of refusal. A missing row is [core.ErrNotFound].
func (s *Store) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	err := s.exists(ctx, key)
	if err != nil {
		return err
	}
	// Each statement looks again, since another replica may have touched the row meanwhile.
	if at := seconds(activity.SeenAt); at != nil {
		err = s.run(ctx, "touch installation", func(db *gorm.DB) error {
			return keyed(db, key).Where("NOT deleted AND (seen_at IS NULL OR seen_at < ?)", at).
				UpdateColumn("seen_at", at).Error
		})
	}
	if at := seconds(activity.RefusedAt); at != nil && err == nil {
		err = s.run(ctx, "touch installation", func(db *gorm.DB) error {
			return keyed(db, key).Where("NOT deleted AND (refused_at IS NULL OR refused_at < ?)", at).
				UpdateColumns(map[string]any{"refused_at": at, "refused_reason": text(activity.RefusedReason)}).Error
		})
	}
	if at := seconds(activity.FirstUsedAt); at != nil && err == nil {
		err = s.run(ctx, "touch installation", func(db *gorm.DB) error {
			return keyed(db, key).Where("NOT deleted AND (first_used_at IS NULL OR first_used_at < ?)", at).
				UpdateColumns(map[string]any{"first_used_at": at, "first_used": text(activity.FirstUsed)}).Error
		})
	}
	if at := seconds(activity.DesyncSuspectedAt); at != nil && err == nil {
		err = s.run(ctx, "touch installation", func(db *gorm.DB) error {
			return keyed(db, key).Where("NOT deleted AND (desync_suspected_at IS NULL OR desync_suspected_at < ?)", at).
				UpdateColumn("desync_suspected_at", at).Error
		})
	}
	return err
}
