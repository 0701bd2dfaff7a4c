package gormstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/utils/tests"
)

// stateError is an error of PostgreSQL.
type stateError string

func (stateError) Error() string      { return "ERROR: in the words of the server's language" }
func (e stateError) SQLState() string { return string(e) }

func TestTransientErrorsAreThoseThatAskToTryAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{errors.New("database is locked (5) (SQLITE_BUSY)"), true}, // modernc.org/sqlite
		{errors.New("database is locked"), true},                   // mattn/go-sqlite3
		{errors.New("sqlite3: database is locked"), true},          // ncruces/go-sqlite3
		{errors.New("database table is locked: hostbond_claims"), true},
		{errors.New("Error 1213 (40001): Deadlock found when trying to get lock; try restarting transaction"), true},
		{stateError("40001"), true},
		{fmt.Errorf("wrapped: %w", stateError("40P01")), true},

		{errors.New("attempt to write a readonly database (8)"), false},
		{errors.New("Error 1205 (HY000): Lock wait timeout exceeded; try restarting transaction"), false},
		{errors.New("Error 12130: of another kind"), false},
		{stateError("23505"), false},
		{context.DeadlineExceeded, false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("%v: got transient %t, want %t", c.err, got, c.want)
		}
	}
}

var errBusy = errors.New("database is locked")

func TestAStatementIsRepeatedUntilItGetsThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := persist(t.Context(), func() error {
			if calls++; calls < 20 {
				return errBusy
			}
			return nil
		})
		if err != nil || calls != 20 {
			t.Errorf("got %v after %d calls, want none after 20", err, calls)
		}
	})
}

func TestAStatementThatFailedForGoodIsNotRepeated(t *testing.T) {
	t.Parallel()
	calls, failed := 0, errors.New("no such table")
	err := persist(t.Context(), func() error { calls++; return failed })
	if !errors.Is(err, failed) || calls != 1 {
		t.Errorf("got %v after %d calls, want %v after 1", err, calls, failed)
	}
}

func TestAStatementIsNotRepeatedForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := persist(t.Context(), func() error { return errBusy })
		if took := time.Since(start); !errors.Is(err, errBusy) || took < patience || took > patience+time.Second {
			t.Errorf("got %v after %v, want %v after %v", err, took, errBusy, patience)
		}
	})
}

func TestAStatementIsNotRepeatedBeyondTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := persist(ctx, func() error { return errBusy })
		if took := time.Since(start); !errors.Is(err, errBusy) || took != time.Second {
			t.Errorf("got %v after %v, want %v after 1s", err, took, errBusy)
		}
	})
}

func TestAnEndedContextShowsInTheErrorWhateverTheDriverSays(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	interrupted := errors.New("interrupted (9)")
	store := &Store{db: db}
	err = store.run(ctx, "get installation", func(*gorm.DB) error { return interrupted })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, interrupted) {
		t.Errorf("got %v, want both %v and %v", err, context.Canceled, interrupted)
	}
}

func TestTheLogShowsStatementsWithoutValues(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	verbose := logger.New(log.New(&logged, "", 0), logger.Config{LogLevel: logger.Warn})
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{Logger: verbose, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]*gorm.DB{"as it is": session(db.Debug()), "debugged": session(db).Debug()} {
		logged.Reset()
		db.Create(&revocationRow{Reason: "sealed-value"})
		if got := logged.String(); !strings.Contains(got, "hostbond_revocations") || strings.Contains(got, "sealed-value") {
			t.Errorf("%s: got %q, want the statement without its values", name, got)
		}
	}
}
