package core

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storeTimeout is what one call to the store may take.
const storeTimeout = time.Second

// This file holds how the store is called: each call has its share of the time and may panic, and what was written is
// known to this replica, and told to the app, at once.

// load reads the row as it is now, past the cache, and what was revoked, also when there is no row.
func (a *App) load(ctx context.Context, key Key) (*Installation, *revoked, error) {
	revoked, err := a.tenants.revocations.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	row, err := a.get(ctx, key)
	return row, revoked, err
}

// get reads the row as it is now, revoked secrets and all.
func (a *App) get(ctx context.Context, key Key) (*Installation, error) {
	return within(ctx, func(ctx context.Context) (*Installation, error) { return a.config.Store.Get(ctx, key) })
}

// page reads at most limit rows, as they are stored, after the client key.
func (a *App) page(ctx context.Context, after string, limit int) ([]*Installation, error) {
	return within(ctx, func(ctx context.Context) ([]*Installation, error) {
		return a.config.Store.List(ctx, a.config.AppKey, after, limit)
	})
}

// appWide returns the app-wide secrets that may verify for the tenant.
func (a *App) appWide(clientKey string, revoked *revoked) appWide {
	return fingerprints(a.tenants.appSecrets.recent(), revoked, clientKey)
}

// save writes what has become of a row, which is nil if there was none. The caller does not change either any more.
func (a *App) save(ctx context.Context, stored, row *Installation) error {
	writing := a.config.Now()
	revision, err := within(ctx, func(ctx context.Context) (int64, error) { return a.config.Store.Put(ctx, row) })
	if err != nil {
		return err
	}
	row.Revision = revision
	a.tenants.put(row, writing)
	a.tellSecretChange(ctx, stored, row)
	return nil
}

// errContended is returned when every write has met somebody else's.
var errContended = fmt.Errorf("hostbond: others kept changing the installation: %w", ErrConflict)

// change writes what decide makes of a row, again and again until nobody came between, and reports whether there was
// something to write: decide returns the row itself if not. stored is a reading of the row that may be old; nil stands for
// none.
func (a *App) change(
	ctx context.Context, key Key, stored *Installation, decide func(*Installation) *Installation,
) (changed bool, err error) {
	for range maxAttempts {
		if stored == nil {
			stored, err = a.get(ctx, key)
			if errors.Is(err, ErrNotFound) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
		}
		row := decide(stored)
		if row == stored {
			return false, nil
		}
		if err = a.save(ctx, stored, row); !errors.Is(err, ErrConflict) {
			return err == nil, err
		}
		stored = nil
	}
	return false, errContended
}

// within gives one call to the store, or to the source of the app-wide secrets, its share of the time, and begins none
// after the end. A panic in it is an error like any other: not every web server would survive it.
func within[T any](ctx context.Context, call func(context.Context) (T, error)) (_ T, err error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("hostbond: panic: %v", v)
		}
	}()
	return call(ctx)
}
