package integration

import (
	"context"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// recorder is a logger that keeps every statement.
type recorder struct {
	logger.Interface
	mu         sync.Mutex
	statements []string
}

func newRecorder() *recorder { return &recorder{Interface: logger.Discard} }

func (r *recorder) LogMode(logger.LogLevel) logger.Interface { return r }

func (r *recorder) Trace(_ context.Context, _ time.Time, statement func() (string, int64), _ error) {
	sql, _ := statement()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, sql)
}

var definition = regexp.MustCompile(`(?i)^\s*(CREATE|ALTER|DROP|RENAME|INSERT)`)

func TestMigratingTwiceChangesNothing(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		for _, migration := range []struct {
			name string
			made bool
		}{{"first", true}, {"second", false}} {
			recorder := newRecorder()
			db := database.Open(t, &gorm.Config{Logger: recorder})
			if err := db.AutoMigrate(gormstore.Models()...); err != nil {
				t.Fatal(err)
			}
			if made := slices.ContainsFunc(recorder.statements, definition.MatchString); made != migration.made {
				t.Errorf("%s migration: got changes %t, want %t:\n%q", migration.name, made, migration.made, recorder.statements)
			}
		}
	})
}

func TestReplicasMayMigrateAtOnce(t *testing.T) {
	databases.Each(t, func(t *testing.T, database databases.Database) {
		var replicas sync.WaitGroup
		for range 6 {
			store, err := gormstore.New(database.Open(t, nil), newKeyring(t))
			if err != nil {
				t.Fatal(err)
			}
			replicas.Go(func() {
				if err := store.AutoMigrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		replicas.Wait()
	})
}
