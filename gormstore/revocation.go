package gormstore

import (
	"context"
	"errors"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
)

// revocationRow is a row of hostbond_revocations.
type revocationRow struct {
	AppKey      text   `gorm:"column:app_key;primaryKey;not null;size:255"`
	ClientKey   text   `gorm:"column:client_key;primaryKey;not null;size:255"` // empty for every tenant
	Fingerprint text   `gorm:"column:fingerprint;primaryKey;not null;size:64"`
	Reason      text   `gorm:"column:reason;not null"`
	RevokedAt   *int64 `gorm:"column:revoked_at"`
}

func (revocationRow) TableName() string { return "hostbond_revocations" }

// Revoke stores the revocation, unless there is one of that app key, client key and fingerprint.
func (s *Store) Revoke(ctx context.Context, revocation core.Revocation) error {
	err := errors.Join(
		fits("app key", revocation.AppKey, maxKey),
		fits("client key", revocation.ClientKey, maxKey),
		fits("fingerprint", revocation.Fingerprint, maxFingerprint),
	)
	if err != nil {
		return err
	}
	return s.insert(ctx, "revoke secret", &revocationRow{
		AppKey:      text(revocation.AppKey),
		ClientKey:   text(revocation.ClientKey),
		Fingerprint: text(revocation.Fingerprint),
		Reason:      text(revocation.Reason),
		RevokedAt:   seconds(revocation.At),
	})
}

// Revocations returns every revocation of the app, in no particular order.
func (s *Store) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	var rows []revocationRow
	err := s.run(ctx, "list revocations", func(db *gorm.DB) error {
		return db.Where("app_key = ?", text(appKey)).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	revocations := make([]core.Revocation, len(rows))
	for n, row := range rows {
		revocations[n] = core.Revocation{
			AppKey:      string(row.AppKey),
			ClientKey:   string(row.ClientKey),
			Fingerprint: core.Fingerprint(row.Fingerprint),
			Reason:      string(row.Reason),
			At:          instant(row.RevokedAt),
		}
	}
	return revocations, nil
}
