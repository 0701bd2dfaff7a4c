package moves

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
	"gorm.io/gorm"
)

const (
	kills   = 24 // on each database
	perKill = 20 // installations
)

// The app is a copy of this program.
func TestMain(m *testing.M) {
	process.Main()
	m.Run()
}

func TestAnAdoptionThatIsKilledAgainAndAgainEndsAsOneThatIsNot(t *testing.T) {
	for _, where := range []databases.Kind{databases.SQLite, databases.PostgreSQL} {
		t.Run(string(where), func(t *testing.T) {
			t.Parallel()
			seed := runs.Seed(t)
			n := runs.Scaled(kills)
			a := newAdoption(t, databases.New(t, where, ""), n*perKill)
			random := rand.New(rand.NewPCG(seed, 0))
			for kill := range n {
				a.kill(kill, random)
				a.check(false)
			}
			app := a.start()
			moved, err := app.Adopt(t.Context())
			for try := 1; err != nil && try < 5; try++ { // that the store took longer than a second may be nobody's fault
				moved, err = app.Adopt(t.Context())
			}
			if err != nil || moved.Seen != len(a.before) || moved.Skipped > 0 || moved.Next != "" {
				t.Errorf("the last one: got %+v, %v, want all installations seen", moved, err)
			}
			if err := app.Stop(); err != nil {
				t.Error(err)
			}
			a.check(true)
			t.Logf("of %d kills %d have cut the adoption off, the last one when %d of %d were adopted",
				n, a.cut, a.done, count(len(a.before), func(k kind) bool { return k.adopts }))
			if a.cut < n*2/3 {
				t.Errorf("%d of %d kills have cut the adoption off, want most: else this shows nothing", a.cut, n)
			}
		})
	}
}

// adoption is a fleet that is adopted by one app after another.
type adoption struct {
	t        *testing.T
	database databases.Database
	keyHost  string
	before   []*core.Installation
	end      []*core.Installation // as one adoption leaves them that nobody cuts off
	cut      int                  // kills that came in between
	done     int                  // installations that were adopted when the last kill came
}

func newAdoption(t *testing.T, database databases.Database, n int) *adoption {
	a := &adoption{t: t, database: database, keyHost: process.KeyHost(t)}
	a.open(func(store *gormstore.Store, db *gorm.DB) {
		if err := store.AutoMigrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		lost, err := gormstore.ParseKeyring("lost:" + strings.Repeat("B", 42) + "A=")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere, err := gormstore.New(db, lost)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			sealing := store
			if i%7 == 0 { // nobody can open its secrets any more
				sealing = elsewhere
			}
			if _, err := sealing.Put(t.Context(), installation(i)); err != nil {
				t.Fatal(err)
			}
		}
		a.before = list(t, store)
		if sealedCopies(t, db) == 0 {
			t.Fatal("no row has a copy of an app-wide secret")
		}
	})
	control := memstore.New()
	for _, row := range a.before {
		row = row.Clone()
		row.Revision = 0
		if _, err := control.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	app, err := core.New(core.Config{
		AppKey: process.AppKey, BaseURL: process.BaseURL, Store: control, AppSecrets: appSecrets,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	moved, err := app.AdoptAppSecret(t.Context(), core.Batch{})
	if err = errors.Join(err, app.Close(t.Context())); err != nil || moved.Moved == 0 {
		t.Fatalf("got %+v, %v", moved, err)
	}
	a.end = list(t, control)
	return a
}

func list(t *testing.T, store core.Store) []*core.Installation {
	t.Helper()
	rows, err := store.List(t.Context(), process.AppKey, "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// open opens the database for as long as f runs. It must be closed when the app is killed: with SQLite, whoever opens it
// next is the first, and has to make good what the kill has left.
func (a *adoption) open(f func(*gormstore.Store, *gorm.DB)) {
	a.t.Helper()
	db, disconnect, err := a.database.Connect()
	if err != nil {
		a.t.Fatal(err)
	}
	store, err := gormstore.New(db, databases.Keyring())
	if err != nil {
		a.t.Fatal(err)
	}
	f(store, db)
	if err := disconnect(); err != nil {
		a.t.Fatal(err)
	}
}

func (a *adoption) start() *process.Child {
	return process.Start(a.t, process.Config{
		Database: a.database, KeyHost: a.keyHost, AppSecrets: []string{newer.Reveal(), older.Reveal()},
	})
}

// kill lets an app adopt until it is killed: before or after one of its statements, or a random while after it began.
func (a *adoption) kill(n int, random *rand.Rand) {
	a.t.Helper()
	app := a.start()
	var fuse process.Fuse // none
	after := n%2 == 0
	switch n % 6 {
	case 0, 1, 2:
		fuse = process.Fuse{Statement: "update hostbond_installations", After: after, Count: 1 + random.IntN(12)}
	case 3:
		fuse = process.Fuse{Statement: "select hostbond_installations", After: after, Count: 1 + random.IntN(3)}
	}
	if err := app.SetFuse(a.t.Context(), fuse); err != nil { // it is there from now on
		a.t.Fatal(err)
	}
	if fuse == (process.Fuse{}) {
		while := time.Millisecond << random.IntN(5)
		timer := time.AfterFunc(while+time.Duration(random.Int64N(int64(while))), app.Kill)
		defer timer.Stop()
	}
	if _, err := app.Adopt(a.t.Context()); err != nil {
		a.cut++
	}
	app.Kill()
}

// check checks that each row is as it was or as it is to be in the end, and was written at most once.
func (a *adoption) check(ended bool) {
	a.t.Helper()
	a.open(func(store *gormstore.Store, db *gorm.DB) {
		rows := list(a.t, store)
		if len(rows) != len(a.before) {
			a.t.Fatalf("got %d rows, want %d", len(rows), len(a.before))
		}
		done := 0
		for i, row := range rows {
			before, end := a.before[i], a.end[i].Clone()
			end.Revision = before.Revision
			moves := !reflect.DeepEqual(before, end)
			if moves {
				end.Revision++
			}
			switch {
			case reflect.DeepEqual(row, end):
				if moves {
					done++
				}
			case ended || !reflect.DeepEqual(row, before):
				a.t.Fatalf("%s: got\n%+v\nwant\n%+v", row.Key.ClientKey, row, end)
			}
		}
		if left := sealedCopies(a.t, db); ended && left > 0 {
			a.t.Errorf("%d rows still have a sealed copy of an app-wide secret", left)
		}
		if !ended {
			a.done = done
		}
	})
}

// sealedCopies counts the rows in which something sealed stands under the fingerprint of an app-wide secret.
func sealedCopies(t *testing.T, db *gorm.DB) (found int) {
	t.Helper()
	var columns []string
	if err := db.Table("hostbond_installations").Pluck("secrets", &columns).Error; err != nil {
		t.Fatal(err)
	}
	for _, column := range columns {
		var entries []struct {
			Fingerprint core.Fingerprint
			Sealed      []byte
		}
		if err := json.Unmarshal([]byte(column), &entries); err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if len(entry.Sealed) > 0 && (entry.Fingerprint == newer.Fingerprint() || entry.Fingerprint == older.Fingerprint()) {
				found++
				break
			}
		}
	}
	return found
}
