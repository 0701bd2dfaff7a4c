package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

const goroutines = 64

// atOnce calls f with each number below goroutines, all at the same moment, and fails the test with what they return.
func atOnce(t *testing.T, f func(n int) error) {
	t.Helper()
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(goroutines)
	for n := range goroutines {
		done.Go(func() {
			ready.Done()
			<-start
			if err := f(n); err != nil {
				t.Errorf("goroutine %d: got %v, want no error", n, err)
			}
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// replicas returns two stores on one database.
func replicas(t *testing.T, database databases.Database) [2]*gormstore.Store {
	t.Helper()
	keys := newKeyring(t)
	return [2]*gormstore.Store{
		databases.NewStore(t, database.Open(t, nil), keys),
		databases.NewStore(t, database.Open(t, nil), keys),
	}
}

func TestRowsDoNotGetInTheWayOfEachOther(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		stores := replicas(t, database)
		atOnce(t, func(n int) error {
			store := stores[n%2]
			i := &core.Installation{Key: core.Key{AppKey: appKey, ClientKey: fmt.Sprintf("client %02d", n)}}
			for range 4 {
				revision, err := store.Put(t.Context(), i)
				if err != nil {
					return err
				}
				i.Revision = revision
				i.SecretVersion++
			}
			if err := store.Touch(t.Context(), i.Key, core.Activity{SeenAt: time.Unix(1700000000, 0)}); err != nil {
				return err
			}
			if n%2 == 0 {
				return store.Delete(t.Context(), i.Key, i.Revision)
			}
			return nil
		})
		list, err := stores[0].List(t.Context(), appKey, "", 2*goroutines)
		if err != nil || len(list) != goroutines/2 {
			t.Errorf("got %d rows, %v, want %d", len(list), err, goroutines/2)
		}
	})
}

func TestExpiredClaimsAreForgottenWhileOthersCome(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		stores := replicas(t, database)

		// Each goroutine claims a token a second, which lives for five.
		const tokens, life = 8, 5
		start := time.Unix(1700000000, 0)
		for second := range tokens {
			at := start.Add(time.Duration(second) * time.Second)
			atOnce(t, func(n int) error {
				claim := core.Claim{
					AppKey: appKey, ID: [32]byte{byte(n * 37), byte(second)}, Body: [32]byte{byte(n)},
					At: at.UTC(), ExpiresAt: at.Add(life * time.Second).UTC(),
				}
				if got, err := stores[n%2].Claim(t.Context(), claim); err != nil || got != claim {
					return fmt.Errorf("%w: claimed %v, want %v", err, got, claim)
				}
				return nil
			})
		}

		var expired, unexpired int64
		end := start.Unix() + tokens - 1
		db := database.Open(t, nil)
		db.Table("hostbond_claims").Where("expires_at < ?", end).Count(&expired)
		db.Table("hostbond_claims").Where("expires_at >= ?", end).Count(&unexpired)
		if unexpired != goroutines*(life+1) {
			t.Errorf("got %d unexpired claims, want %d", unexpired, goroutines*(life+1))
		}
		if expired != 0 {
			t.Errorf("got %d expired claims, want none", expired)
		}
	})
}
