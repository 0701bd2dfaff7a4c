package gormstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// session returns a handle on the same database that behaves the same whatever the user's own is set to.
func session(db *gorm.DB) *gorm.DB {
	fresh := db.Session(&gorm.Session{
		NewDB:     true, // no conditions of others
		SkipHooks: true,
		// Every write is one statement and thus a transaction already: two round trips less.
		SkipDefaultTransaction: true,
		Logger:                 valueless{db.Logger},
	})
	// With GORM's dbresolver plugin a read would go to a replica, which may not have the last write yet. This is what
	// its option dbresolver.Write sets; without the plugin it means nothing.
	return fresh.Set("gorm:db_resolver:write", struct{}{}).Session(&gorm.Session{})
}

// valueless is a logger that gets statements with placeholders only, for their values include sealed secrets.
type valueless struct{ logger.Interface }

func (l valueless) LogMode(level logger.LogLevel) logger.Interface {
	return valueless{l.Interface.LogMode(level)}
}

// ParamsFilter is what GORM asks for the values to print.
func (valueless) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

// How long a statement is tried again while others are in its way, and how long the waits between are.
const (
	patience  = 5 * time.Second // and never beyond the deadline of the context
	firstWait = time.Millisecond
	worstWait = 64 * time.Millisecond
)

// run calls statement with a handle that is bound to ctx, and calls it again while others are in its way. What it does in
// SQL must be fit to be repeated from the start.
func (s *Store) run(ctx context.Context, what string, statement func(db *gorm.DB) error) error {
	err := persist(ctx, func() error { return statement(s.db.WithContext(ctx)) })
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		// Some drivers report an end of the context in words of their own.
		return fmt.Errorf("gormstore: %s: %w (%w)", what, err, ctx.Err())
	default:
		return fmt.Errorf("gormstore: %s: %w", what, err)
	}
}

// persist calls statement until it has got through, failed for good, or tried long enough.
func persist(ctx context.Context, statement func() error) error {
	start := time.Now()
	for wait := firstWait; ; wait = min(2*wait, worstWait) {
		err := statement()
		if err == nil || !transient(err) || time.Since(start) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(wait) + 1): // at random, lest those who collided do so again
		}
	}
}

// transient reports whether the database undid a statement only because others were in its way, and would take it again.
// It knows the errors by their looks, so that no driver needs to be imported.
func transient(err error) bool {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok { // PostgreSQL
		return e.SQLState() == "40001" || e.SQLState() == "40P01" // serialization_failure, deadlock_detected
	}
	text := err.Error()
	return strings.Contains(text, "database is locked") || // SQLITE_BUSY
		strings.Contains(text, "database table is locked") || // SQLITE_LOCKED, with a shared cache
		strings.HasPrefix(text, "Error 1213 (40001)") // MySQL, ER_LOCK_DEADLOCK
}
