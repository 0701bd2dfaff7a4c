package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

// App.Check, and what it says of app-wide secrets that installations need.

// wantCheck holds what Check returns against the parts of its text; none is no error.
func wantCheck(t *testing.T, app *core.App, parts ...string) {
	t.Helper()
	err := app.Check(t.Context())
	if len(parts) == 0 {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if !errors.Is(err, core.ErrAppSecrets) {
		t.Errorf("got %v, want ErrAppSecrets", err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want it to say %q", err, part)
		}
	}
	for _, secret := range []string{appWide1, appWide2, appWide3} {
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), string(fingerprintOf(t, secret))) {
			t.Errorf("got %q, want no secret, and fingerprints short", err)
		}
	}
}

func TestCheckCountsTheSitesThatNeedAnAppWideSecretWhichIsMissing(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t, appWide2, appWide1)
		app, without := replica(asks(source)), replica()
		wantCheck(t, app)
		wantCheck(t, without)
		for n := range 3 {
			store.bind(t, fmt.Sprint("bound-", n), appWide1)
		}
		store.bind(t, "moving", appWide1, appWide2)
		wantCheck(t, app)
		sites := func(n int, secret string) string {
			return fmt.Sprintf("%s is not configured, and %d installed sites need it", fingerprintOf(t, secret).Short(), n)
		}
		wantCheck(t, without, sites(4, appWide1), sites(1, appWide2))

		source.holds(t, appWide2) // at once, whatever was asked before
		wantCheck(t, app, sites(4, appWide1))
		if err := app.Check(t.Context()); strings.Contains(err.Error(), fingerprintOf(t, appWide2).Short()) {
			t.Errorf("got %v, want nothing of the one that is configured", err)
		}
		source.holds(t, appWide3, appWide2, appWide1)
		wantCheck(t, app)
	})
}

func TestCheckCountsNoSiteThatNeedsTheSecretNoMore(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		app := replica()
		for clientKey, change := range map[string]func(*core.Installation){
			"gone":     func(row *core.Installation) { row.State = core.Uninstalled },
			"retired":  func(row *core.Installation) { row.Secrets[0].State = core.Retired },
			"revoked":  func(row *core.Installation) { row.Secrets[0].State = core.Revoked },
			"released": func(row *core.Installation) { row.Secrets[0].Bound = false },
		} {
			store.bind(t, clientKey, appWide1)
			key := core.Key{AppKey: appKey, ClientKey: clientKey}
			row, err := store.Store.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			change(row)
			if _, err := store.Store.Put(t.Context(), row); err != nil {
				t.Fatal(err)
			}
		}
		wantCheck(t, app)
		revoke(t, app, fingerprintOf(t, appWide1), 3) // whoever has it loses it
		wantCheck(t, app)
	})
}

func TestCheckSaysThatTheSourceDoesNotAnswer(t *testing.T) {
	for rule := range badAnswers(t) {
		t.Run(rule, func(t *testing.T) {
			inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
				source := newVault(t, appWide1)
				app := replica(asks(source))
				store.bind(t, "bound", appWide1)
				wantCheck(t, app)
				source.does(badAnswers(t)[rule])
				began := time.Now()
				wantCheck(t, app, "cannot be read")
				if waited := time.Since(began); waited > time.Second {
					t.Errorf("waited for %v, want a second at most", waited)
				}
				err := app.Check(t.Context())
				if rule == "an error" && !errors.Is(err, errVault) {
					t.Errorf("got %v, want the error of the source in it", err)
				}
				if strings.Contains(err.Error(), "is not configured") {
					t.Errorf("got %v, want nothing of the secret that is known from before", err)
				}
			})
		})
	}
}

func TestCheckBeforeTheFirstAnswerSaysBoth(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		source.does(fails)
		app := replica(asks(source))
		store.bind(t, "bound", appWide1)
		wantCheck(t, app, errVault.Error(), "and 1 installed sites need it")
	})
}

func TestAStoreThatIsDownIsNoMatterOfAppWideSecrets(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		source.does(fails)
		app := replica(asks(source))
		store.down.Store(true)
		if err := app.Check(t.Context()); !errors.Is(err, errDown) || errors.Is(err, core.ErrAppSecrets) {
			t.Errorf("got %v, want that of the store, and not ErrAppSecrets", err)
		}
	})
}

func TestCheckWaitsNoLongerThanItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		source.does(func(context.Context) ([]core.Secret, error) { pass(900 * time.Millisecond); return nil, nil })
		app := replica(asks(source))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := app.Check(ctx); !errors.Is(err, core.ErrAppSecrets) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrAppSecrets, since the time was over", err)
		}
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("waited for %v after its context was over", waited)
		}
		pass(time.Second)
		wantCheck(t, app)
	})
}

func TestCheckAndRequestsAskTheSourceOneAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T, store *faultyStore, replica func(...func(*core.Config)) *core.App) {
		source := newVault(t)
		secrets := appSecrets(t, appWide1)
		source.does(func(context.Context) ([]core.Secret, error) { pass(100 * time.Millisecond); return secrets, nil })
		app := replica(asks(source))
		store.bind(t, "bound", appWide1)
		for range 20 {
			go func() { _ = app.Check(t.Context()) }()
			go func() { _ = authenticate(t, app, "bound", appWide1) }()
			pass(30 * time.Millisecond)
		}
		pass(time.Second)
		if most := source.most.Load(); most != 1 {
			t.Errorf("the source was asked %d times at once, want one goroutine at a time", most)
		}
	})
}
