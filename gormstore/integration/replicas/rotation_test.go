package replicas

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

func TestARotationOnOneReplicaIsKnownToAllAtOnce(t *testing.T) {
	f := newFleet(t)
	site := f.installed(0)
	f.known(site)
	f.pass(aMoment)
	f.takes(0, site.Rotate)
	f.each(func(n int) { f.serves(n, site, "the first page with the secret that was rotated on replica 0") })
}

func TestRotationsThatReplicasTakeInTurnRefuseNoPage(t *testing.T) {
	const rotations = 100
	f := newFleet(t)
	random := rand.New(rand.NewPCG(runs.Seed(t), 0))
	anyReplica := func() int { return random.IntN(len(f.replicas)) }
	site := f.installed(0)
	for n := range rotations {
		f.pass(aMoment)
		f.takes(n%len(f.replicas), site.Rotate)
		f.serves(anyReplica(), site, fmt.Sprintf("the page after rotation %d", n+1))
		if n%4 == 3 {
			f.keepsTo(site, anyReplica)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// keepsTo lets a site load pages for so long that all secrets but its own are retired: a row holds eight of them at most.
func (f *fleet) keepsTo(site *fakehost.Site, replica func() int) {
	f.t.Helper()
	f.pass(settle + aMoment)
	f.serves(replica(), site, "a page Settle after the last rotation")
	f.becomes(site, "a run of the site's secret", func(row *core.Installation) bool { return row.Run.Fingerprint != "" })
	f.pass(settle + aMoment)
	f.serves(replica(), site, "a page as long after that")
	f.becomes(site, "one usable secret", func(row *core.Installation) bool { return usable(row) == 1 })
}

func usable(row *core.Installation) int {
	n := 0
	for _, secret := range row.Secrets {
		if secret.State == core.Usable {
			n++
		}
	}
	return n
}
