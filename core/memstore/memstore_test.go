package memstore_test

import (
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/storetest"
)

var noon = time.Date(2024, time.February, 29, 12, 0, 0, 0, time.UTC)

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) core.Store { return memstore.New() })
}

func TestZeroStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) core.Store { return new(memstore.Store) })
}

func TestFindRefusesAnUnknownProperty(t *testing.T) {
	t.Parallel()
	keys, err := memstore.New().Find(t.Context(), "com.example.app", "colour", "blue")
	if want := `memstore: cannot find installations by "colour"`; err == nil || err.Error() != want {
		t.Errorf("got %v and the error %v, want the error %s", keys, err, want)
	}
}

func TestTimesAreCutToWholeSeconds(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	key := core.Key{AppKey: "com.example.app", ClientKey: "client"}
	late := noon.Add(999 * time.Millisecond)

	if _, err := store.Put(t.Context(), &core.Installation{Key: key, Watermark: late}); err != nil {
		t.Fatal(err)
	}
	touched := core.Activity{SeenAt: late, RefusedAt: late, FirstUsedAt: late, DesyncSuspectedAt: late}
	if err := store.Touch(t.Context(), key, touched); err != nil {
		t.Fatal(err)
	}
	i, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	want := core.Activity{SeenAt: noon, RefusedAt: noon, FirstUsedAt: noon, DesyncSuspectedAt: noon}
	if i.Watermark != noon || i.Activity != want {
		t.Errorf("got the watermark %s and the activity %+v, want %s throughout", i.Watermark, i.Activity, noon)
	}
}

// Claims must not pile up in a process that runs for long.
func TestClaimForgetsWhatHasExpired(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	first := core.Claim{AppKey: "com.example.app", Body: [32]byte{1}, At: noon, ExpiresAt: noon.Add(time.Minute)}
	if _, err := store.Claim(t.Context(), first); err != nil {
		t.Fatal(err)
	}

	second := first
	second.Body, second.At = [32]byte{2}, first.ExpiresAt.Add(time.Second)
	got, err := store.Claim(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if got != second {
		t.Errorf("got the expired claim of %s, want it forgotten", got.At)
	}
}
