package kills

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core/fakehost"
	"gorm.io/gorm"
)

// stages counts how far the callbacks had got that the kills have cut off.
type stages struct {
	hits      int // kills that cut off a callback after its claim was stored
	unclaimed int // callbacks that left no trace
	claimed   int // callbacks that were claimed and not committed
	committed int // callbacks that were committed, and the site does not know
}

// count looks at what the kill of this round has left of the callbacks under way.
func (s *stages) count(db *gorm.DB, sites []*site) error {
	hit := false
	for _, site := range sites {
		lost := site.lost
		site.lost = nil
		if lost == nil || lost.Event != fakehost.Installed && lost.Event != fakehost.Uninstalled {
			continue
		}
		id, err := claimID(lost)
		if err != nil {
			return err
		}
		var claims int64
		if err := db.Table("hostbond_claims").Where("id = ?", id[:]).Count(&claims).Error; err != nil {
			return err
		}
		switch row := site.before; {
		case row != nil && slices.Contains(row.Applied, id):
			s.committed++
		case claims > 0:
			s.claimed++
		default:
			s.unclaimed++
			continue
		}
		hit = true
	}
	if hit {
		s.hits++
	}
	return nil
}

// claimID returns the name of a callback in the store: the same token gives the same text again.
func claimID(c *call) (id [32]byte, err error) {
	token, err := c.Token.Sign()
	if err != nil {
		return id, err
	}
	return sha256.Sum256([]byte(token[:strings.LastIndex(token, ".")])), nil
}
