package gormstore

import (
	"context"
	"errors"
	"time"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
)

// claimRow is a row of hostbond_claims.
type claimRow struct {
	AppKey    text   `gorm:"column:app_key;primaryKey;not null;size:255;index:hostbond_claims_expires_at,priority:1"`
	ID        []byte `gorm:"column:id;primaryKey;not null;size:32"`
	Body      []byte `gorm:"column:body;not null;size:32"`
	ClaimedAt *int64 `gorm:"column:claimed_at"`
	ExpiresAt *int64 `gorm:"column:expires_at;index:hostbond_claims_expires_at,priority:2"`
}

func (claimRow) TableName() string { return "hostbond_claims" }

// Claim stores the claim if there is none under its app key and ID, and returns the stored one.
func (s *Store) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	if err := fits("app key", claim.AppKey, maxKey); err != nil {
		return core.Claim{}, err
	}
	err := s.insert(ctx, "claim token", &claimRow{
		AppKey:    text(claim.AppKey),
		ID:        claim.ID[:],
		Body:      claim.Body[:],
		ClaimedAt: seconds(claim.At),
		ExpiresAt: seconds(claim.ExpiresAt),
	})
	if err != nil {
		return core.Claim{}, err
	}

	// Who was first is read: the number of rows affected would not tell on every database.
	var rows []claimRow
	err = s.run(ctx, "claim token", func(db *gorm.DB) error {
		return db.Where("app_key = ? AND id = ?", text(claim.AppKey), claim.ID[:]).Limit(1).Find(&rows).Error
	})
	if err != nil {
		return core.Claim{}, err
	}
	if len(rows) == 0 || len(rows[0].Body) != len(claim.Body) {
		return core.Claim{}, errors.New("gormstore: claim token: forgotten already, as expired at the time of another claim")
	}

	s.sweep(ctx, claim.AppKey, claim.At)
	return core.Claim{
		AppKey:    claim.AppKey,
		ID:        claim.ID,
		Body:      [32]byte(rows[0].Body),
		At:        instant(rows[0].ClaimedAt),
		ExpiresAt: instant(rows[0].ExpiresAt),
	}, nil
}

// Every sweepEvery-th claim, beginning with the first, deletes up to sweepLimit expired ones. So the table shrinks while
// claims come in, and no claim has much to do.
const (
	sweepEvery = 16
	sweepLimit = 128
)

// sweep deletes expired claims of the app now and then. It may fail: what it leaves, the next one finds.
func (s *Store) sweep(ctx context.Context, appKey string, now time.Time) {
	if (s.claims.Add(1)-1)%sweepEvery != 0 {
		return
	}
	_ = s.run(ctx, "forget claims", func(db *gorm.DB) error {
		var ids [][]byte
		expired := db.Model(&claimRow{}).Where("app_key = ? AND expires_at < ?", text(appKey), now.Unix())
		if err := expired.Limit(sweepLimit).Pluck("id", &ids).Error; err != nil || len(ids) == 0 {
			return err
		}
		// By primary key MySQL locks the rows alone. By time it would lock the gaps between them too, where the claims
		// of others are about to go; "+ 0" keeps it from using that index.
		return db.Where("app_key = ? AND id IN ? AND expires_at + 0 < ?", text(appKey), ids, now.Unix()).
			Delete(&claimRow{}).Error
	})
}
