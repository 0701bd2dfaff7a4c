package replicas

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

func TestManyBadTokensMakeAReplicaReadATenantOnceASecondAndDelayNobody(t *testing.T) {
	t.Parallel()
	const (
		attackers = 32
		each      = 3 // that an attacker sends; each is answered after a read that began later
	)
	f := newFleet(t)
	site := f.installed(0)
	// That the site is alive is written once an hour, and must not be counted as a read.
	f.serves(0, site, "the app is installed")
	f.becomes(site, "the site was seen", func(row *core.Installation) bool {
		return !row.Activity.SeenAt.IsZero() && row.Activity.FirstUsed != ""
	})
	f.known(site)

	begin := time.Now()
	before := f.reads(0)
	var attack, visit sync.WaitGroup
	for range attackers {
		attack.Go(func() {
			for range each {
				if status := f.guess(0, site); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
					t.Errorf("a bad token got status %d, want 401", status)
				}
			}
		})
	}
	visits, over := 0, make(chan struct{})
	visit.Go(func() {
		pause := time.NewTicker(2 * time.Millisecond) // there are others on this machine
		defer pause.Stop()
		for {
			select {
			case <-over:
				return
			case <-pause.C:
			}
			if status := f.page(0, site); status != http.StatusOK {
				t.Errorf("a page of the site between bad tokens got status %d, want 200", status)
			}
			visits++
		}
	})
	attack.Wait()
	close(over)
	visit.Wait()
	reads := f.reads(0) - before
	seconds := int(time.Since(begin) / time.Second)

	if reads > seconds+1 {
		t.Errorf("%d bad tokens in %d s made the replica read the tenant %d times, want once a second at most",
			attackers*each, seconds, reads)
	}
	if visits < attackers {
		t.Errorf("the site could load %d pages meanwhile, want at least %d", visits, attackers)
	}
	t.Logf("%d bad tokens and %d pages in %d s: %d reads", attackers*each, visits, seconds, reads)
}

// reads returns how often a replica has read an installation.
func (f *fleet) reads(replica int) int {
	f.t.Helper()
	made, err := f.replicas[replica].Statements(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return made["select hostbond_installations"]
}
