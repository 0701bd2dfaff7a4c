package histories

import (
	"flag"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
	"pgregory.net/rapid"
)

// How many histories of each kind are lived.
const (
	inMemory   = 4000
	onDatabase = 100
)

// skews are what the clocks of the replicas differ by from the site's: less than Leeway, or they would refuse it.
var skews = []time.Duration{0, 25 * time.Second, -25 * time.Second}

// given are the flags of the command line.
var given = map[string]bool{}

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	_ = flag.Set("rapid.nofailfile", "true") // what is found becomes a test that can be read
	os.Exit(m.Run())
}

func TestNoHistoryBreaksAPromiseInMemory(t *testing.T) {
	checks := configure(t, inMemory)
	t.Run("kinds", func(t *testing.T) {
		for _, k := range kinds {
			t.Run(string(k), func(t *testing.T) {
				t.Parallel()
				var events []event
				if checks == inMemory { // a few histories may miss what is rare
					events = required[k]
				}
				check(t, k, func() (core.Store, func()) { return memstore.New(), func() {} }, events)
			})
		}
	})
	runs.Documented(t, "histories of a site", "in memory", checks*len(kinds))
}

func TestNoHistoryBreaksAPromiseOnADatabase(t *testing.T) {
	checks := configure(t, onDatabase)
	databases.Each(t, func(t *testing.T, database databases.Database) {
		database.Store(t) // makes the tables
		for _, k := range kinds {
			check(t, k, func() (core.Store, func()) { return emptied(database) }, nil)
		}
		runs.Documented(t, "histories of a site", string(database.Kind), checks*len(kinds))
	})
}

// emptied opens the database, without the rows of earlier histories. What a driver keeps running must begin and end in the
// bubble of its history, so each one has its own connections.
func emptied(database databases.Database) (core.Store, func()) {
	db, disconnect, err := database.Connect()
	if err != nil {
		panic(err)
	}
	for _, table := range []string{"hostbond_installations", "hostbond_claims", "hostbond_revocations"} {
		if err := db.Exec("DELETE FROM " + table).Error; err != nil {
			panic(err)
		}
	}
	store, err := gormstore.New(db, databases.Keyring())
	if err != nil {
		panic(err)
	}
	return store, func() {
		if err := disconnect(); err != nil {
			panic(err)
		}
	}
}

// configure sets rapid's flags, but for those of the command line, and returns how many histories of each kind are lived.
func configure(t *testing.T, histories int) int {
	t.Helper()
	histories = runs.Scaled(histories)
	for name, value := range map[string]uint64{"seed": runs.Seed(t), "steps": 60, "checks": uint64(histories)} {
		if given["rapid."+name] {
			continue
		}
		if err := flag.Set("rapid."+name, strconv.FormatUint(value, 10)); err != nil {
			t.Fatal(err)
		}
	}
	return histories
}

// check lives histories of the kind, each on a new store.
func check(t *testing.T, k kind, open func() (core.Store, func()), required []event) {
	t.Helper()
	seen := new(events)
	rapid.Check(t, func(rt *rapid.T) {
		story, err := live(t, k, open, fair(rt), seen, func(step func()) {
			rt.Repeat(map[string]func(*rapid.T){"step": func(*rapid.T) { step() }})
		})
		if err != nil {
			rt.Logf("%s", strings.Join(story, "\n"))
			rt.Fatal(err)
		}
	})
	if !given["rapid.checks"] {
		seen.check(t, required)
	}
}

// fair returns dice that are not loaded: rapid's own numbers are small ones most of the time.
func fair(rt *rapid.T) dice {
	return func(what string, n int) int {
		drawn := 0
		for range bits.Len(uint(n-1)) + 4 {
			drawn *= 2
			if rapid.Bool().Draw(rt, what) {
				drawn++
			}
		}
		return drawn % n
	}
}

// live lives one history. It returns the story, and an error if a promise was broken.
func live(t *testing.T, k kind, open func() (core.Store, func()), roll dice, seen *events, repeat func(func())) (story []string, err error) {
	inBubble(t, func() {
		inner, closeStore := open()
		defer closeStore()
		w, fault := newWorld(k, inner, skews...)
		if fault != nil {
			panic(fault)
		}
		defer w.end()
		w.begin(roll)
		repeat(func() {
			if len(w.broken) == 0 {
				w.step(roll)
			}
		})
		if len(w.broken) == 0 {
			w.checkEnd()
		}
		seen.add(w.events)
		story, err = w.story, w.verdict()
	})
	return story, err
}
