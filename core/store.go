package core

import (
	"context"
	"errors"
	"time"
)

// Store keeps installations. Package storetest states and proves the contract; memstore is the reference in memory and
// gormstore the one for SQL databases.
//
// A store is used from many goroutines and by several replicas at once. It keeps no clock: every time comes from the
// caller. It hands out values that share no memory with what it keeps, keeps none that it was handed, and changes none.
// Times are whole seconds from 1900 to 9999 and come back in UTC; a zero time stays zero. Keys are never empty.
//
// Any error but [ErrNotFound] and [ErrConflict] means that the store could not answer; the caller then fails closed.
// When the context is cancelled or expired the error wraps the context's own and, unless a commit was under way
// already, nothing has changed.
type Store interface {
	// Get returns the installation under key, or ErrNotFound. It reads what the last Put of any replica wrote.
	// An installation with secrets that cannot be opened is returned all the same: see [StoredSecret.Sealed].
	Get(ctx context.Context, key Key) (*Installation, error)

	// Put writes the whole installation, but for its Activity, if the stored revision is still
	// installation.Revision, and returns the new revision, which is greater than every earlier one of that key.
	// Revision 0 stands for "no such row". Otherwise it returns ErrConflict and changes nothing.
	// After a nil error the row survives a crash of the process.
	Put(ctx context.Context, installation *Installation) (revision int64, err error)

	// Delete removes the row if its revision is the one given, else it returns ErrConflict; ErrNotFound if there is
	// none. A row that is put again under the same key continues with a greater revision.
	Delete(ctx context.Context, key Key, revision int64) error

	// List returns at most limit installations of the app whose client keys are greater than after, in ascending
	// byte order of the client key. No more rows is an empty list. The limit is at least 1.
	List(ctx context.Context, appKey, after string, limit int) ([]*Installation, error)

	// Find returns the keys of the app's installations with the given value, in ascending byte order of the client
	// key; none is an empty list. An empty value finds nothing; a property that is not known is an error.
	Find(ctx context.Context, appKey string, by By, value string) ([]Key, error)

	// Bindings counts the installed installations of the app by the app-wide secrets that they need: one with two usable
	// bindings counts for both, one that is not installed for none. It is called by health checks, so it reads an index.
	Bindings(ctx context.Context, appKey string) (map[Fingerprint]int, error)

	// Touch records activity in columns of its own: no revision changes and no Put undoes it. Times that are zero are
	// left alone, and none ever goes back. RefusedAt and RefusedReason are one fact, FirstUsedAt and FirstUsed another: an
	// older one changes neither. A missing row is ErrNotFound.
	Touch(ctx context.Context, key Key, activity Activity) error

	// Claim stores the claim if there is none under its app key and ID, durably and in a commit of its own, and
	// returns the stored one, be it this or an earlier one. Claims that expired before claim.At may be forgotten.
	Claim(ctx context.Context, claim Claim) (Claim, error)

	// Revoke stores the revocation. The first one of a (app key, client key, fingerprint) stays; a second is no error.
	Revoke(ctx context.Context, revocation Revocation) error

	// Revocations returns every revocation of the app, in no particular order.
	Revocations(ctx context.Context, appKey string) ([]Revocation, error)
}

var (
	// ErrNotFound is returned by a [Store] when it has no row under that key.
	ErrNotFound = errors.New("hostbond: installation not found")

	// ErrConflict is returned by a [Store] when the row is not at the revision that the caller read. The caller reads
	// again and decides anew.
	ErrConflict = errors.New("hostbond: installation was changed meanwhile")
)

// By is a property that a [Store] finds installations by.
type By string

// The properties that [Store.Find] knows.
const (
	ByBaseURL        By = "base_url"
	ByInstallationID By = "installation_id"
)

// Claim reserves one token of a lifecycle callback for one body. A callback token does not sign the body, so without
// the claim a thief could post his own secret under a logged token.
type Claim struct {
	AppKey    string
	ID        [32]byte  // SHA-256 of the token's signing input
	Body      [32]byte  // SHA-256 of the body that came with it
	At        time.Time // when it was first seen
	ExpiresAt time.Time // when the token has expired for every replica
}

// Revocation bars a secret for good, for one tenant or for the whole app: see [App.RevokeFor] and [App.Revoke].
type Revocation struct {
	AppKey      string
	ClientKey   string // "" for every tenant
	Fingerprint Fingerprint
	Reason      string // the operator's words
	At          time.Time
}
