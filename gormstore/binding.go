package gormstore

import (
	"context"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core"
	"gorm.io/gorm"
)

// maxNeeded bounds the column bindings, so that it can be indexed: with their commas, as many fingerprints fit into the
// size that stands in the tag of the model. Of more, the newest would be counted; a row has one to three.
const maxNeeded = 16

// needed returns the column bindings: the fingerprints of the app-wide secrets that an installed installation needs, as a
// comma list; nil stands for none. Rows with the same needs have the same list, so that they are counted as a group.
func needed(i *core.Installation) *text {
	var list []string
	for _, secret := range slices.Backward(i.Secrets) {
		if i.State == core.Installed && secret.Bound && secret.State == core.Usable && len(list) < maxNeeded {
			list = append(list, string(secret.Fingerprint))
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return new(text(strings.Join(list, ",")))
}

// Bindings counts the installed installations of the app by the app-wide secrets that they need. It reads an index alone.
func (s *Store) Bindings(ctx context.Context, appKey string) (map[core.Fingerprint]int, error) {
	var groups []struct {
		Bindings      text `gorm:"column:bindings"`
		Installations int  `gorm:"column:installations"`
	}
	err := s.run(ctx, "count bindings", func(db *gorm.DB) error {
		return db.Model(&installationRow{}).Select("bindings, COUNT(*) AS installations").
			Where("app_key = ? AND bindings IS NOT NULL", text(appKey)).Group("bindings").Find(&groups).Error
	})
	if err != nil {
		return nil, err
	}
	counts := make(map[core.Fingerprint]int)
	for _, group := range groups {
		for fingerprint := range strings.SplitSeq(string(group.Bindings), ",") {
			counts[core.Fingerprint(fingerprint)] += group.Installations
		}
	}
	return counts, nil
}
