package storetest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

var revokeRules = []rule{
	{
		name:  "every field",
		text:  stated("Every field of a revocation comes back as it was stored, its time in UTC."),
		check: revokeEveryField,
	},
	{
		name:  "first stays",
		text:  stated("A second revocation of a secret, for the same tenant or the app, is no error and changes nothing."),
		check: revokeFirstStays,
	},
	{
		name:  "each apart",
		text:  stated("Revocations of other secrets, for other tenants or for the whole app, are stored beside each other."),
		check: revokeEachApart,
	},
	{
		name:  "own app only",
		text:  stated("Revocations returns those of the app and of no other; none is an empty list and no error."),
		check: revokeOwnApp,
	},
	{
		name:  "one winner",
		text:  stated("Of many that revoke the same secret at once one is stored, and none gets an error."),
		check: revokeOneWinner,
	},
}

func (t *trial) sampleRevocation(clientKey, secret string) core.Revocation {
	return core.Revocation{
		AppKey: t.app, ClientKey: clientKey, Fingerprint: t.secret(secret).Fingerprint(), Reason: "leaked", At: noon,
	}
}

// wantRevocations checks the app's revocations, in any order.
func (t *trial) wantRevocations(appKey string, want ...core.Revocation) {
	t.Helper()
	got := t.revocations(appKey)
	if len(got) != len(want) {
		t.Fatalf("Revocations: got %d, want %d", len(got), len(want))
	}
	order := func(a, b core.Revocation) int {
		return cmp.Or(cmp.Compare(a.ClientKey, b.ClientKey), cmp.Compare(a.Fingerprint, b.Fingerprint))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	for n := range want {
		t.wantEqual("a revocation", got[n], want[n])
	}
}

func revokeEveryField(t *trial) {
	var r core.Revocation
	fill(&r, 1, time.FixedZone("west", -8*60*60))
	r.AppKey = t.app
	r.Reason = strings.Repeat("gefunden \U0001F50E in the log's \"copy\" \\ %\n", 10)
	t.revoke(r)
	t.wantRevocations(t.app, r)
}

func revokeFirstStays(t *trial) {
	tenant, app := t.sampleRevocation("a", "the secret that leaked"), t.sampleRevocation("", "the secret that leaked")
	t.revoke(tenant)
	t.revoke(app)
	for _, first := range []core.Revocation{tenant, app} {
		second := first
		second.Reason, second.At = "leaked again", noon.Add(time.Hour)
		t.revoke(second)
	}
	t.wantRevocations(t.app, tenant, app)
}

func revokeEachApart(t *trial) {
	all := []core.Revocation{
		t.sampleRevocation("", "the secret of the app"),
		t.sampleRevocation("", "another secret of the app"),
		t.sampleRevocation("a", "the secret of the app"),
		t.sampleRevocation("A", "the secret of the app"),
		t.sampleRevocation("a ", "the secret of the app"),
		t.sampleRevocation("a", "a secret of the tenant"),
	}
	for _, r := range all {
		t.revoke(r)
	}
	t.wantRevocations(t.app, all...)
}

func revokeOwnApp(t *trial) {
	t.wantRevocations(t.app)
	mine := t.sampleRevocation("a", "the secret that leaked")
	other := mine
	other.AppKey += ".other"
	t.revoke(mine)
	t.revoke(other)
	t.wantRevocations(mine.AppKey, mine)
	t.wantRevocations(other.AppKey, other)
}

func revokeOneWinner(t *trial) {
	var want []core.Revocation
	for range rounds {
		secret := "the secret that leaked in round " + string(rune('a'+len(want)))
		errs := make([]error, rivals)
		together(rivals, func(rival int) {
			errs[rival] = t.store.Revoke(t.Context(), t.sampleRevocation("a", secret))
		})
		for _, err := range errs {
			if err != nil {
				t.Fatalf("one of %d revocations at once: got error %v, want none", rivals, err)
			}
		}
		want = append(want, t.sampleRevocation("a", secret))
	}
	t.wantRevocations(t.app, want...)
}
