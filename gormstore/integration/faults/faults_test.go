package faults

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// TestNoFaultOfTheStoreCostsASiteItsBond lets each call of the store go wrong in each way.
func TestNoFaultOfTheStoreCostsASiteItsBond(t *testing.T) {
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		everyFault(t, 0, "in memory", func() core.Store { return memstore.New() })
	})
	for n, kind := range databases.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			database := databases.New(t, kind, hasty[kind])
			db := database.Open(t, &gorm.Config{Logger: logger.Discard, PrepareStmt: true})
			if pool, err := db.DB(); err == nil {
				pool.SetMaxIdleConns(lines) // to open them again and again would take longer than what they are used for
			}
			store := outside(t, databases.NewStore(t, db, databases.Keyring()))
			everyFault(t, 1+n, string(kind), func() core.Store { return store })
		})
	}
}

// hasty are options of databases that need not survive a loss of power: nothing here turns it off.
var hasty = map[databases.Kind]string{
	databases.SQLite:     "_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)&_txlock=immediate",
	databases.PostgreSQL: "synchronous_commit=off",
}

// atOnce is how many flows of one store run at a time. While one waits for the database, another one has things to do.
const atOnce = 8

// everyFault runs every flow once for each of its calls and each fault.
func everyFault(t *testing.T, place int, column string, open func() core.Store) {
	var cases atomic.Int64
	var running sync.WaitGroup
	room := make(chan struct{}, atOnce)
	seed := int(runs.Seed(t) % 1000)
	for n, f := range flows {
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			t.Run(f.name, func(t *testing.T) { cases.Add(everyFaultOf(t, f, place, seed+n, open)) })
		})
	}
	running.Wait()
	// Whoever asks for single flows or cases by name wants no more of them.
	if strings.Count(flag.Lookup("test.run").Value.String(), "/") < 2 {
		runs.Documented(t, "faults of the store", column, int(cases.Load()))
	}
}

// everyFaultOf runs the flow once for each of its calls and each fault, and returns how often that was.
func everyFaultOf(t *testing.T, f *flow, place, seed int, open func() core.Store) (cases int64) {
	appKey := "com.example." + strings.ReplaceAll(f.name, " ", "-")
	var r *rehearsal
	bubble(t, func(t *testing.T) { r = rehearse(t, f, open(), appKey) })
	if t.Failed() {
		return 0
	}
	// The race detector sees one in five, others on each store and for each seed.
	every, turn := 5/runs.Scaled(5), seed+place
	for at, call := range r.calls {
		for n, fault := range faults {
			if !fault.strikes(call.method) {
				continue
			}
			if turn++; turn%every != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s as call %d %s", call.method, 1+at, fault), func(t *testing.T) {
				cases++
				bubble(t, func(t *testing.T) {
					r.play(t, open(), fmt.Sprintf("%s.%d.%d", appKey, at, n), at, fault, (place+at+n)%2 == 0)
				})
			})
		}
	}
	return cases
}

// bubble is synctest.Test with an end: a goroutine that waits for a mutex would keep its clock from moving for ever.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	name := t.Name()
	end := time.AfterFunc(2*time.Minute, func() { panic(name + " hangs") })
	defer end.Stop()
	synctest.Test(t, f)
}
