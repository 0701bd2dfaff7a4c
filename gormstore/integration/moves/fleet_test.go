package moves

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"gorm.io/gorm"
)

// The secrets. Only the first two are configured.
var (
	newer   = secret("the newer app-wide secret")
	older   = secret("the older app-wide secret")
	own     = secret("the own secret of a site")
	ownOnce = secret("the own secret that a site had before")
)

var appSecrets = core.StaticSecrets{newer, older}

func secret(text string) core.Secret {
	secret, err := core.NewSecret(text)
	if err != nil {
		panic(err)
	}
	return secret
}

func stored(s core.Secret) core.StoredSecret {
	return core.StoredSecret{Fingerprint: s.Fingerprint(), State: core.Usable, Value: s}
}

func bound(s core.Secret) core.StoredSecret {
	return core.StoredSecret{Fingerprint: s.Fingerprint(), State: core.Usable, Bound: true}
}

// leftBehind is a binding that the site has left behind.
func leftBehind(secret core.Secret) core.StoredSecret {
	s := retired(secret)
	s.Bound = true
	return s
}

func retired(s core.Secret) core.StoredSecret {
	return core.StoredSecret{Fingerprint: s.Fingerprint(), State: core.Retired, RetiredAt: past}
}

var past = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// kind is what an installation of the fleet is like.
type kind struct {
	state   core.State
	secrets []core.StoredSecret
	signs   core.Secret // with it the site signs; zero if it does not call
	adopts  bool        // it has a copy of an app-wide secret
	binds   bool        // it has a binding from the beginning
}

// kinds are in a fleet as often as each other.
var kinds = []kind{
	{state: core.Installed, secrets: []core.StoredSecret{stored(newer)}, signs: newer, adopts: true},
	{state: core.Installed, secrets: []core.StoredSecret{stored(ownOnce), stored(newer)}, signs: newer, adopts: true},
	{state: core.Installed, secrets: []core.StoredSecret{stored(older), stored(own)}, signs: own, adopts: true},
	{state: core.Installed, secrets: []core.StoredSecret{stored(older), stored(newer)}, signs: older, adopts: true},
	{state: core.Uninstalled, secrets: []core.StoredSecret{stored(older)}, adopts: true},
	{state: core.Installed, secrets: []core.StoredSecret{bound(newer)}, signs: newer, binds: true},
	{state: core.Installed, secrets: []core.StoredSecret{leftBehind(newer), stored(own)}, signs: own},
	{state: core.Installed, secrets: []core.StoredSecret{stored(own)}, signs: own},
	{state: core.Uninstalled, secrets: []core.StoredSecret{retired(own)}},
	{state: core.Installed, secrets: []core.StoredSecret{stored(ownOnce), stored(own)}, signs: own},
}

func kindOf(n int) kind { return kinds[n%len(kinds)] }

func clientKey(n int) string { return fmt.Sprintf("site-%05d", n) }

// count returns how many of the first n installations are such.
func count(n int, such func(kind) bool) (count int) {
	for i := range n {
		if such(kindOf(i)) {
			count++
		}
	}
	return count
}

// installation is the n-th of the fleet.
func installation(n int) *core.Installation {
	k := kindOf(n)
	return &core.Installation{
		Key: core.Key{AppKey: inprocess.AppKey, ClientKey: clientKey(n)}, State: k.state, Signing: core.SignedRS256,
		Site:    core.Site{BaseURL: fmt.Sprintf("https://site-%d.atlassian.net", n), ProductType: "jira"},
		Secrets: k.secrets, SecretVersion: int64(len(k.secrets)),
		LastOffer: past, Watermark: past, CreatedAt: past, UpdatedAt: past,
	}
}

// fill stores n installations: one of each kind by the store, and the others as copies of those, which takes far less time.
// The store must not seal, since what is sealed is so for one installation only.
func fill(t *testing.T, store *gormstore.Store, db *gorm.DB, n int) {
	t.Helper()
	for i := range kinds {
		if _, err := store.Put(t.Context(), installation(i)); err != nil {
			t.Fatal(err)
		}
	}
	type place struct {
		ClientKey string
		Kind      int
	}
	var places []place
	for i := len(kinds); i < n; i++ {
		places = append(places, place{clientKey(i), i % len(kinds)})
	}
	mould := map[string]any{}
	err := errors.Join(
		db.AutoMigrate(&place{}), db.CreateInBatches(places, 1000).Error, db.Table("hostbond_installations").Take(&mould).Error,
	)
	if err != nil {
		t.Fatal(err)
	}
	delete(mould, "client_key")
	columns := strings.Join(slices.Collect(maps.Keys(mould)), ", ")
	for i := range kinds {
		err := db.Exec("INSERT INTO hostbond_installations (client_key, "+columns+") "+
			"SELECT places.client_key, "+columns+" FROM hostbond_installations AS mould, places "+
			"WHERE mould.client_key = ? AND places.kind = ?", clientKey(i), i).Error
		if err != nil {
			t.Fatal(err)
		}
	}
}
