package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
)

// tappedStore tells of each call to the store before it is made and after it. What tap returns before it is its error.
type tappedStore struct {
	core.Store
	tap func(call string, made bool) error
}

func untapped(string, bool) error { return nil }

// before returns a tap that does something before each call of a kind.
func before(kind string, do func()) func(string, bool) error {
	return func(call string, made bool) error {
		if call == kind && !made {
			do()
		}
		return nil
	}
}

func tapped[T any](s *tappedStore, call string, do func() (T, error)) (T, error) {
	if err := s.tap(call, false); err != nil {
		var none T
		return none, err
	}
	defer func() { _ = s.tap(call, true) }()
	return do()
}

func (s *tappedStore) Get(ctx context.Context, key core.Key) (*core.Installation, error) {
	return tapped(s, "Get", func() (*core.Installation, error) { return s.Store.Get(ctx, key) })
}

func (s *tappedStore) Put(ctx context.Context, row *core.Installation) (int64, error) {
	return tapped(s, "Put", func() (int64, error) { return s.Store.Put(ctx, row) })
}

func (s *tappedStore) Delete(ctx context.Context, key core.Key, revision int64) error {
	_, err := tapped(s, "Delete", func() (struct{}, error) { return struct{}{}, s.Store.Delete(ctx, key, revision) })
	return err
}

func (s *tappedStore) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	return tapped(s, "List", func() ([]*core.Installation, error) { return s.Store.List(ctx, appKey, after, limit) })
}

func (s *tappedStore) Touch(ctx context.Context, key core.Key, activity core.Activity) error {
	_, err := tapped(s, "Touch", func() (struct{}, error) { return struct{}{}, s.Store.Touch(ctx, key, activity) })
	return err
}

func (s *tappedStore) Claim(ctx context.Context, claim core.Claim) (core.Claim, error) {
	return tapped(s, "Claim", func() (core.Claim, error) { return s.Store.Claim(ctx, claim) })
}

func (s *tappedStore) Revoke(ctx context.Context, revocation core.Revocation) error {
	_, err := tapped(s, "Revoke", func() (struct{}, error) { return struct{}{}, s.Store.Revoke(ctx, revocation) })
	return err
}

func (s *tappedStore) Revocations(ctx context.Context, appKey string) ([]core.Revocation, error) {
	return tapped(s, "Revocations", func() ([]core.Revocation, error) { return s.Store.Revocations(ctx, appKey) })
}

// cohort is an app with many installations, on a store that can be tapped.
type cohort struct {
	store *tappedStore
	clock clock
	app   *core.App
}

// newCohort returns an app with the app-wide secrets, and n installations of which each third has its own secret, and the
// others have a copy of the first app-wide one, or a binding to it.
func newCohort(t *testing.T, n int, bound bool) *cohort {
	t.Helper()
	f := &cohort{
		store: &tappedStore{Store: memstore.New(), tap: untapped},
		clock: clock{now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)},
	}
	f.app = f.replica(t)
	for i := range n {
		s := core.StoredSecret{State: core.Usable, Value: secretOf(t, appWide)}
		if i%3 == 0 {
			s.Value = secretOf(t, fmt.Sprintf("the own secret of site %d", i))
		}
		s.Fingerprint = s.Value.Fingerprint()
		if s.Bound = bound && i%3 > 0; s.Bound {
			s.Value = core.Secret{}
		}
		f.put(t, fmt.Sprintf("site-%04d", i), s)
	}
	return f
}

func (f *cohort) replica(t *testing.T) *core.App {
	t.Helper()
	return newApp(t, core.Config{
		AppKey: appKey, BaseURL: "https://app.example.com", Store: f.store, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
		AppSecrets: core.StaticSecrets{secretOf(t, appWide), secretOf(t, otherAppWide)},
	})
}

// put stores an installation that was last heard of 90 days ago.
func (f *cohort) put(t *testing.T, clientKey string, secrets ...core.StoredSecret) {
	t.Helper()
	at := f.clock.Now().Add(-90 * 24 * time.Hour)
	row := &core.Installation{
		Key: core.Key{AppKey: appKey, ClientKey: clientKey}, State: core.Installed, Signing: core.SignedRS256,
		Secrets: secrets, SecretVersion: 1, LastOffer: at, Watermark: at, CreatedAt: at, UpdatedAt: at,
	}
	if _, err := f.store.Store.Put(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

// rows returns all that is stored, but for the revisions.
func (f *cohort) rows(t *testing.T) []*core.Installation {
	t.Helper()
	rows, err := f.store.Store.List(t.Context(), appKey, "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		row.Revision = 0
	}
	return rows
}

func (f *cohort) wantRows(t *testing.T, when string, want []*core.Installation) {
	t.Helper()
	if got := f.rows(t); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the store has\n%+v\nwant\n%+v", when, got, want)
	}
}

// stored returns all rows as they can be put again.
func (f *cohort) stored(t *testing.T) []*core.Installation {
	t.Helper()
	rows, err := f.store.Store.List(t.Context(), appKey, "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// change puts a row past the tap.
func (f *cohort) change(t *testing.T, row *core.Installation) {
	t.Helper()
	if _, err := f.store.Store.Put(t.Context(), row); err != nil {
		t.Error(err)
	}
}

func wantMoved(t *testing.T, got core.Moved, err error, want core.Moved) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
