package integration

import (
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

// benchmark measures f on every kind of database, with one installation that has two secrets.
func benchmark(b *testing.B, f func(*testing.B, *gormstore.Store, *core.Installation) error) {
	for _, kind := range databases.Kinds {
		b.Run(string(kind), func(b *testing.B) {
			store := databases.NewStore(b, databases.New(b, kind, "").Open(b, nil), newKeyring(b))
			i := install(b, store, "acme", "the first secret of acme", "the second secret of acme")
			b.ReportAllocs()
			for b.Loop() {
				if err := f(b, store, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, func(b *testing.B, store *gormstore.Store, i *core.Installation) error {
		_, err := store.Get(b.Context(), i.Key)
		return err
	})
}

func BenchmarkPut(b *testing.B) {
	benchmark(b, func(b *testing.B, store *gormstore.Store, i *core.Installation) (err error) {
		i.Revision, err = store.Put(b.Context(), i)
		return err
	})
}

// BenchmarkBindings counts over 102,400 installations, most of them bound. What it costs is also reported as a number of
// Gets of one installation.
func BenchmarkBindings(b *testing.B) {
	for _, kind := range databases.Kinds {
		b.Run(string(kind), func(b *testing.B) {
			database := databases.New(b, kind, "")
			db := database.Open(b, nil)
			store := databases.NewStore(b, db, newKeyring(b))
			populate(b, database, db, store, 20, 12)

			const gets = 200
			start := time.Now()
			for range gets {
				get(b, store, "client 0")
			}
			one := time.Since(start) / gets

			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.Bindings(b.Context(), appKey); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(one), "gets/op")
		})
	}
}

func BenchmarkClaim(b *testing.B) {
	var claim core.Claim
	benchmark(b, func(b *testing.B, store *gormstore.Store, i *core.Installation) error {
		for n := range claim.ID {
			if claim.ID[n]++; claim.ID[n] != 0 {
				break
			}
		}
		claim.AppKey = appKey
		claim.At = time.Unix(1700000000+int64(claim.ID[1])<<8, 0)
		claim.ExpiresAt = claim.At.Add(time.Minute)
		_, err := store.Claim(b.Context(), claim)
		return err
	})
}
