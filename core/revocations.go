package core

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// revocations reads which secrets were revoked. Every row that comes from the store is held against them before it is
// used, so that no rule has to.
type revocations struct {
	store      Store
	appKey     string
	now        func() time.Time
	configured []Fingerprint

	reads  singleflight.Group
	mu     sync.Mutex
	own    []Revocation // by this process; a read that is under way may not know of them
	begun  int64        // reads; they are told apart by this, since a clock may be set back
	latest *revoked     // of the read that began last; nil before the first one
}

// revoked is the set of secrets that were revoked, as it was in the store at a time.
type revoked struct {
	readAt  time.Time // when the read began
	read    int64     // which one it was
	secrets map[revokedSecret]struct{}
}

type revokedSecret struct {
	clientKey   string // "" for every tenant
	fingerprint Fingerprint
}

// recent returns the set as it was in the store at most maxAge ago. It is read once for all who ask at a time.
func (r *revocations) recent(maxAge time.Duration) (*revoked, error) {
	if known := r.known(); known != nil {
		if age := r.now().Sub(known.readAt); 0 <= age && age < maxAge {
			return known, nil
		}
	}
	read, err, _ := r.reads.Do("", func() (any, error) { return r.read(context.Background()) })
	if err != nil {
		return nil, err
	}
	return read.(*revoked), nil
}

// read returns the set as it is in the store now.
func (r *revocations) read(ctx context.Context) (*revoked, error) {
	r.mu.Lock()
	r.begun++
	began, read := r.now(), r.begun
	r.mu.Unlock()
	stored, err := within(ctx, func(ctx context.Context) ([]Revocation, error) {
		return r.store.Revocations(ctx, r.appKey)
	})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	set := newRevoked(slices.Concat(stored, r.own), r.configured, began)
	set.read = read
	if r.latest == nil || r.latest.read < read {
		r.latest = set
	}
	return set, nil
}

// known returns the set as it was read last, or nil.
func (r *revocations) known() *revoked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
}

// add makes a revocation known that has just been stored, and returns the set with it.
func (r *revocations) add(revocation Revocation) *revoked {
	r.mu.Lock()
	defer r.mu.Unlock()
	if secret := revocation.secret(); !slices.ContainsFunc(r.own, func(known Revocation) bool { return known.secret() == secret }) {
		r.own = append(r.own, revocation)
	}
	if r.latest == nil {
		return newRevoked(r.own, r.configured, time.Time{})
	}
	set := *r.latest
	set.secrets = maps.Clone(set.secrets)
	set.secrets[revocation.secret()] = struct{}{}
	r.latest = &set
	return r.latest
}

// secret is what the revocation bars.
func (r Revocation) secret() revokedSecret { return revokedSecret{r.ClientKey, r.Fingerprint} }

func newRevoked(revocations []Revocation, configured []Fingerprint, readAt time.Time) *revoked {
	set := &revoked{readAt: readAt, secrets: make(map[revokedSecret]struct{}, len(revocations)+len(configured))}
	for _, revocation := range revocations {
		set.secrets[revocation.secret()] = struct{}{}
	}
	for _, f := range configured {
		set.secrets[revokedSecret{"", f}] = struct{}{}
	}
	return set
}

// has reports whether the secret is revoked for the tenant.
func (r *revoked) has(clientKey string, f Fingerprint) bool {
	if len(r.secrets) == 0 {
		return false
	}
	_, everywhere := r.secrets[revokedSecret{"", f}]
	_, here := r.secrets[revokedSecret{clientKey, f}]
	return everywhere || here
}

// strike returns the row without the revoked secrets: the same one if it has none.
func (r *revoked) strike(row *Installation) *Installation {
	revoked := func(s StoredSecret) bool { return s.State != Revoked && r.has(row.Key.ClientKey, s.Fingerprint) }
	if !slices.ContainsFunc(row.Secrets, revoked) {
		return row
	}
	struck := row.Clone()
	struck.revoke(revoked, wholeSeconds(r.readAt))
	return struck
}

// bar is strike for a row that is used and not written: its SecretVersion stays the one that is stored.
func (r *revoked) bar(row *Installation) *Installation {
	barred := r.strike(row)
	if barred != row {
		barred.SecretVersion = row.SecretVersion
	}
	return barred
}
