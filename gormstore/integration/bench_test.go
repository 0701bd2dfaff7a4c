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
