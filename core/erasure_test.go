package core_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

const day = 24 * time.Hour

// former are installations of which nothing may be left, one deleted in each way.
var former = map[string]func(*testing.T, *bundle){
	"purged": func(t *testing.T, b *bundle) {
		b.uninstall(t)
		b.clock.advance(31 * day)
		m, err := b.app.Purge(t.Context(), 30*day, core.Batch{})
		wantMoved(t, m, err, core.Moved{Seen: 1, Moved: 1})
	},
	"erased after it was uninstalled": func(t *testing.T, b *bundle) {
		b.uninstall(t)
		b.clock.advance(61 * time.Minute)
		b.erase(t, nil)
	},
	"erased after a long silence": func(t *testing.T, b *bundle) {
		b.clock.advance(31 * day)
		b.erase(t, nil)
	},
}

func (b *bundle) uninstall(t *testing.T) {
	t.Helper()
	if _, err := b.site.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) erase(t *testing.T, want error) {
	t.Helper()
	if err := b.app.Erase(t.Context(), b.site.ClientKey()); !errors.Is(err, want) {
		t.Errorf("erase: got %v, want %v", err, want)
	}
}

func TestAnInstallAfterADeletionIsAFirstInstall(t *testing.T) {
	t.Parallel()
	for name, del := range former {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes := make(chan core.Change, 16)
			b := setup(t, func(c *core.Config) { c.OnChange = func(_ context.Context, change core.Change) { changes <- change } })
			b.install(t)
			if _, err := b.site.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.use(t)
			stolen := b.site.Token(http.MethodGet, "/panel")
			logged := b.site.Callback(fakehost.Installed)
			if status := b.post(t, logged); status != http.StatusNoContent {
				t.Fatalf("got %d, want 204", status)
			}
			del(t, b)
			if row := b.row(t); row != nil {
				t.Fatalf("got %+v, want no row", row)
			}

			// Whoever has logged a callback does not bring it back.
			if status := b.post(t, logged); status != http.StatusUnauthorized || b.row(t) != nil {
				t.Errorf("a logged callback: got %d and %+v, want 401 and no row", status, b.row(t))
			}
			// Who has the old secret gets nothing, before the site comes back and after it.
			stolen.Claims["iat"], stolen.Claims["exp"] = b.clock.Now().Unix(), b.clock.Now().Add(time.Minute).Unix()
			wantStolen := func(want core.ReasonCode) {
				t.Helper()
				answer, err := b.site.Do(t.Context(), http.MethodGet, "/panel", stolen, nil)
				if err != nil || answer.StatusCode != http.StatusUnauthorized || b.log.reason() != want {
					t.Errorf("the old secret: got %d %q, %v, want 401 %s", answer.StatusCode, b.log.reason(), err, want)
				}
			}
			wantStolen(core.ReasonUnknownTenant)

			again := b.newSite(t, fakehost.Config{ClientKey: b.site.ClientKey(), BaseURL: "https://moved.atlassian.net"})
			if _, err := again.Install(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, at := b.row(t), b.clock.Now()
			want := &core.Installation{
				Key: got.Key, Revision: got.Revision, State: core.Installed, Signing: core.SignedRS256, Site: got.Site,
				Secrets: []core.StoredSecret{{
					Fingerprint: core.Fingerprint(again.Fingerprint()), State: core.Usable,
					OfferedAt: at, Value: secretOf(t, again.Secret()),
				}},
				SecretVersion: 1, LastOffer: at, Watermark: at, Applied: got.Applied, ActivationWatermark: at,
				CreatedAt: at, UpdatedAt: at,
			}
			if !reflect.DeepEqual(got, want) || got.Site.BaseURL != again.BaseURL() || len(got.Applied) != 1 {
				t.Errorf("installed again: got\n%+v\nwant\n%+v", got, want)
			}
			if a := b.activity(t); a != (core.Activity{}) {
				t.Errorf("installed again: got activity %+v, want none", a)
			}
			wantStolen(core.ReasonBadSignature)
			if answer, err := again.Get(t.Context(), "/panel"); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("the site's page: got %d, %v, want 200", answer.StatusCode, err)
			}
			if err := b.app.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			close(changes)
			last := core.Change{}
			for change := range changes {
				if change.After.Secrets[0].Fingerprint == want.Secrets[0].Fingerprint {
					last = change
				}
			}
			if last.Outcome != core.OutcomeInstalled || last.Before != nil {
				t.Errorf("OnChange: got %s, before %+v; want %s and none", last.Outcome, last.Before, core.OutcomeInstalled)
			}
		})
	}
}

func TestPurgeTakesWhatWasLeftLongAgoAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, fresh, installed := b.site, b.newSite(t, fakehost.Config{}), b.newSite(t, fakehost.Config{})
	for _, site := range []*fakehost.Site{old, fresh, installed} {
		if _, err := site.Install(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.uninstall(t)
	b.clock.advance(20 * day)
	if _, err := fresh.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(20 * day)
	m, err := b.app.Purge(t.Context(), 30*day, core.Batch{})
	wantMoved(t, m, err, core.Moved{Seen: 3, Moved: 1})
	if b.rowOf(t, old) != nil || b.rowOf(t, fresh) == nil || b.rowOf(t, installed) == nil {
		t.Error("want the first row gone, and the two others there")
	}
	for _, age := range []time.Duration{0, -time.Hour, day - time.Second} {
		if m, err := b.app.Purge(t.Context(), age, core.Batch{}); err == nil || m.Seen > 0 {
			t.Errorf("older than %v: got %+v, %v, want an error", age, m, err)
		}
	}
}

func TestEraseRefusesWhoIsAliveAndWhoIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.erase(t, core.ErrNotFound)
	if err := b.app.Erase(t.Context(), ""); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("without a client key: got %v, want ErrNotFound", err)
	}
	b.install(t)
	b.clock.advance(29 * day)
	before := b.row(t)
	b.erase(t, core.ErrAlive)
	if got := b.row(t); !reflect.DeepEqual(got, before) {
		t.Errorf("the row of a site that is alive was changed to %+v", got)
	}
	b.wantPage(t, http.StatusOK, "")
	b.recorded(t)
	b.clock.advance(29 * day)
	b.erase(t, core.ErrAlive) // it was seen, after its last callback
	b.uninstall(t)
	b.clock.advance(59 * time.Minute)
	b.erase(t, core.ErrAlive) // its uninstalled could be sent again
	b.clock.advance(2 * time.Minute)
	b.erase(t, nil)
	b.erase(t, core.ErrNotFound)
}

func TestARevocationOutlivesItsTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.install(t)
	leaked := b.site.Secret()
	if err := b.app.RevokeFor(t.Context(), b.site.ClientKey(), fingerprintOf(t, leaked), "found in a log"); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(31 * day)
	b.erase(t, nil)
	status := b.post(t, b.site.Callback(fakehost.Installed).Offer(leaked))
	if status != http.StatusUnauthorized || b.log.reason() != core.ReasonRevoked {
		t.Errorf("the revoked secret again: got %d %q, want 401 %s", status, b.log.reason(), core.ReasonRevoked)
	}
}

func TestSecretsAreErasedBeforeTheRest(t *testing.T) {
	t.Parallel()
	for name, del := range map[string]func(context.Context, *cohort) error{
		"purge": func(ctx context.Context, f *cohort) error {
			_, err := f.app.Purge(ctx, 30*day, core.Batch{})
			return err
		},
		"erase": func(ctx context.Context, f *cohort) error { return f.app.Erase(ctx, "site-0001") },
	} {
		t.Run(name, func(t *testing.T) {
			f := walks["purge"].fleet(t, 2)
			var calls []string
			f.store.tap = func(call string, made bool) error {
				if !made && (call == "Put" || call == "Delete") {
					calls = append(calls, call)
				}
				if !made && call == "Delete" {
					return errDown
				}
				return nil
			}
			if err := del(t.Context(), f); !errors.Is(err, errDown) {
				t.Errorf("got %v, want the store's error", err)
			}
			row := f.rows(t)[1]
			if !slices.Equal(calls, []string{"Put", "Delete"}) || row.State != core.Uninstalled || len(row.Secrets) > 0 {
				t.Errorf("got the calls %v, and %+v; want a Put first, which leaves no secret", calls, row)
			}
			f.store.tap = untapped
			if err := del(t.Context(), f); err != nil || len(f.rows(t)) != 1 {
				t.Errorf("again: got %v and %d rows, want it deleted", err, len(f.rows(t)))
			}
		})
	}
}
