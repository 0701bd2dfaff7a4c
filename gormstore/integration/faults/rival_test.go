package faults

import (
	"context"
	"time"

	"github.com/hostbond/hostbond/core"
)

// rival is the secret that another replica is told when it comes between and there is no row yet.
const rival = "a secret that another replica was sent"

// entitlement is what another replica writes when it comes between: a member that the site's other callbacks leave out.
const entitlement = "E-1234"

// overtake writes the row, or that of the acting site, as a replica does that has taken another callback of the site.
func (w *world) overtake(key core.Key) {
	if key == (core.Key{}) {
		key = w.key(w.acting())
	}
	row := w.row(key)
	if row == nil {
		w.wire.know(rival)
		secret, _ := core.NewSecret(rival)
		now := time.Now().UTC().Truncate(time.Second)
		row = &core.Installation{
			Key: key, State: core.Installed, Signing: core.SignedRS256, SecretVersion: 1,
			Secrets:   []core.StoredSecret{{Fingerprint: secret.Fingerprint(), State: core.Usable, OfferedAt: now, Value: secret}},
			LastOffer: now, Watermark: now, CreatedAt: now, UpdatedAt: now,
			Site: core.Site{BaseURL: w.acting().BaseURL()},
		}
		if w.flow.symmetric {
			row.Signing = core.Unsigned
		}
	}
	row.Site.EntitlementNumber = entitlement
	if w.overtaken == nil {
		w.overtaken = map[core.Key]bool{}
	}
	w.overtaken[key] = true
	// Below the ledger, which counts what the app writes.
	if _, err := w.ledger.Store.Put(context.Background(), row); err != nil {
		w.t.Errorf("another replica could not write: %v", err)
	}
}
