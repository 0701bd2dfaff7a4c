package core

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

const (
	// readPause is between two reads of one tenant for the sake of a bad signature, and between two probes of a store
	// that is down.
	readPause = time.Second
	// maxReads bounds the reads under way, maxWaiting the requests that wait for their turn to read.
	maxReads            = 64
	maxWaiting          = 1024
	maxWaitingStrangers = 64

	cacheShards = 64

	// revocationReads is how often in a TTL the revocations are read, for the sake of all tenants.
	revocationReads = 5
)

// tenants reads installations through a cache. The cache follows the store within its TTL; a bad signature looks at
// the store at once, so that a rotation on one replica is known to all.
type tenants struct {
	revocations *revocations
	appSecrets  *appSecrets

	store    Store
	appKey   string
	now      func() time.Time
	ttl      time.Duration
	maxStale time.Duration

	seed             maphash.Seed
	shards           [cacheShards]cacheShard
	reads            singleflight.Group
	rereads          singleflight.Group
	reading          chan struct{}
	waiting          chan struct{}
	waitingStrangers chan struct{}
	probeAt          atomic.Int64 // Unix nanoseconds of the next probe; 0 while the store answers
}

// cacheShard keeps the unknown client keys apart, so that guesses do not push tenants out.
type cacheShard struct {
	mu        sync.Mutex
	known     *simplelru.LRU[string, *tenant]
	strangers *simplelru.LRU[string, *tenant]
}

func newTenants(config Config) *tenants {
	c := &tenants{
		revocations: &revocations{
			store: config.Store, appKey: config.AppKey, now: config.Now, configured: config.RevokedFingerprints,
		},
		appSecrets: &appSecrets{source: config.AppSecrets, ttl: config.CacheTTL, now: config.Now, log: config.Logger},
		store:      config.Store, appKey: config.AppKey, now: config.Now, ttl: config.CacheTTL, maxStale: config.MaxStale,
		seed:             maphash.MakeSeed(),
		reading:          make(chan struct{}, maxReads),
		waiting:          make(chan struct{}, maxWaiting),
		waitingStrangers: make(chan struct{}, maxWaitingStrangers),
	}
	for n := range c.shards {
		// The error is for sizes below one.
		c.shards[n].known, _ = simplelru.NewLRU[string, *tenant]((config.CacheSize+cacheShards-1)/cacheShards, nil)
		c.shards[n].strangers, _ = simplelru.NewLRU[string, *tenant](cacheShards, nil)
	}
	return c
}

// get returns the tenant as it was in the store at most the TTL ago, or MaxStale ago while the store is down. It
// reports fresh if the store was read after the call.
func (c *tenants) get(ctx context.Context, clientKey string) (t *tenant, fresh bool, _ *refusal) {
	t = c.cached(clientKey)
	if age := c.age(t); t != nil && 0 <= age && age < c.ttl { // a clock that was set back makes nothing fresh
		return t, false, nil
	}
	stale := t != nil && c.age(t) <= c.maxStale
	if stale && !c.mayProbe() {
		return t, false, nil
	}
	ours := false // the flight, and not one that was under way; only who has its result may look
	read, err := c.join(ctx, c.reads.DoChan(clientKey, func() (any, error) {
		ours = true
		return c.read(clientKey)
	}))
	switch {
	case err == nil:
		return read, ours, nil
	case stale && ctx.Err() == nil:
		// As it is known by now: the read may have taken a while.
		if t = c.cached(clientKey); t != nil && c.age(t) <= c.maxStale {
			return t, false, nil
		}
	}
	return nil, false, c.refuse(err)
}

// reread returns the tenant as it was in the store after the call. A tenant is read once a second at most, and whoever
// comes meanwhile waits for that read, so that nobody is refused on the strength of an old one.
func (c *tenants) reread(ctx context.Context, clientKey string) (*tenant, *refusal) {
	room := c.waiting
	if t := c.cached(clientKey); t == nil || t.row == nil {
		room = c.waitingStrangers // who guesses client keys must not keep tenants out
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	default:
		return nil, c.refuse(errOverload)
	}
	fresh, err := c.join(ctx, c.rereads.DoChan(clientKey, func() (any, error) {
		if t := c.cached(clientKey); t != nil {
			time.Sleep(min(readPause, readPause-c.now().Sub(t.lastRead())))
			t.rereadAt.Store(c.now().UnixNano())
		}
		if !c.mayProbe() {
			return nil, errDown
		}
		// The read begins now. Who comes after this line may need a later one.
		c.rereads.Forget(clientKey)
		return c.read(clientKey)
	}))
	if err != nil {
		return nil, c.refuse(err)
	}
	return fresh, nil
}

// appWideSigner returns the app-wide secret that signed the token of a tenant that is not known. Whether it was revoked is
// for the caller to see.
func (c *tenants) appWideSigner(token *token) (Fingerprint, *refusal) {
	for _, secret := range c.appSecrets.recent() {
		if secret.hs256.verify(token.signingInput, token.signature) {
			return secret.fingerprint, nil
		}
	}
	return "", refuse(ReasonUnknownTenant, "nor signed with an app-wide secret")
}

// put makes a row that was just written known to this replica. writing is when the write began.
func (c *tenants) put(row *Installation, writing time.Time) {
	if c.revocations.known() != nil { // else there is no cache to keep in step yet
		c.cache(row.Key.ClientKey, row, writing)
	}
}

// forget drops a tenant whose row was deleted at the revision. deleting is when that began. A read that is under way, or a
// write that is made known late, brings no earlier row back.
func (c *tenants) forget(clientKey string, revision int64, deleting time.Time) {
	c.reads.Forget(clientKey) // who comes from now on does not join it
	s := c.shard(clientKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.known.Peek(clientKey); ok && t.revision() > revision {
		return // it was installed again meanwhile
	}
	s.known.Remove(clientKey)
	s.strangers.Add(clientKey, &tenant{readAt: deleting, gone: revision})
}

// revoke takes a secret that was just revoked away from the tenants that are known here. A read that is under way meets
// the revocation when it is cached.
func (c *tenants) revoke(revocation Revocation) {
	revoked := c.revocations.add(revocation)
	for n := range c.shards {
		s := &c.shards[n]
		s.mu.Lock()
		for _, clientKey := range s.known.Keys() {
			t, _ := s.known.Peek(clientKey)
			if row := revoked.bar(t.row); row != t.row || t.uses(revocation.Fingerprint) {
				s.known.Add(clientKey, c.prepare(row, t.readAt, t, revoked))
			}
		}
		s.mu.Unlock()
	}
}

var (
	errOverload = errors.New("hostbond: too many reads under way")
	errDown     = errors.New("hostbond: the store did not answer a moment ago")
)

func (c *tenants) refuse(err error) *refusal {
	if errors.Is(err, errOverload) {
		return refuse(ReasonOverload, "too many reads under way")
	}
	return refuse(ReasonStore, "the installation could not be read").because(err)
}

// join waits for a flight with the waiter's own patience. The flight goes on without him.
func (c *tenants) join(ctx context.Context, flight <-chan singleflight.Result) (*tenant, error) {
	select {
	case result := <-flight:
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*tenant), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read asks the store, on a context of its own, since more than one request waits for the answer.
func (c *tenants) read(clientKey string) (*tenant, error) {
	c.appSecrets.recent() // before it takes a place: a source that hangs keeps nobody out
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	default:
		return nil, errOverload
	}
	began := c.now()
	row, err := c.lookUp(clientKey)
	if err != nil {
		c.probeAt.Store(c.now().Add(readPause).UnixNano())
		return nil, err
	}
	c.probeAt.Store(0)
	return c.cache(clientKey, row, began), nil
}

// lookUp returns the row, or nil if there is none. What is known of revocations and of app-wide secrets by then is recent.
func (c *tenants) lookUp(clientKey string) (*Installation, error) {
	if _, err := c.revocations.recent(c.ttl / revocationReads); err != nil {
		return nil, err
	}
	row, err := within(context.Background(), func(ctx context.Context) (*Installation, error) {
		return c.store.Get(ctx, Key{c.appKey, clientKey})
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case row == nil || row.Key != Key{c.appKey, clientKey}:
		// Whatever mixed the rows up, one tenant's secrets must not verify for another.
		return nil, errors.New("hostbond: the store returned the row of another installation")
	}
	return row, nil
}

// mayProbe reports whether the store is worth a call: always while it answers, once a second while it is down.
func (c *tenants) mayProbe() bool {
	at := c.probeAt.Load()
	now := c.now()
	return at == 0 || now.UnixNano() >= at && c.probeAt.CompareAndSwap(at, now.Add(readPause).UnixNano())
}

func (c *tenants) age(t *tenant) time.Duration {
	if t == nil {
		return 0
	}
	return c.now().Sub(t.readAt)
}

func (c *tenants) shard(clientKey string) *cacheShard {
	return &c.shards[maphash.String(c.seed, clientKey)%cacheShards]
}

func (c *tenants) cached(clientKey string) *tenant {
	s := c.shard(clientKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.known.Get(clientKey); ok {
		return t
	}
	t, _ := s.strangers.Get(clientKey)
	return t
}

// cache prepares a row, which is nil for an unknown client key, and keeps it unless the cached one is newer: a read that
// began before a write may end after it. Past the TTL a smaller revision is believed, since a database may have been
// restored. A row is as old as what is known of revocations, so that neither is used for longer than it may be.
func (c *tenants) cache(clientKey string, row *Installation, readAt time.Time) *tenant {
	s := c.shard(clientKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	revoked := c.revocations.known()
	if row != nil {
		row = revoked.bar(row)
	}
	old, ok := s.known.Peek(clientKey)
	if !ok {
		old, ok = s.strangers.Peek(clientKey)
	}
	t := c.prepare(row, earlier(readAt, revoked.readAt), old, revoked)
	t.rereadAt.Store(readAt.UnixNano())
	if ok && old.revision() > t.revision() && readAt.Sub(old.readAt) < c.ttl {
		return t
	}
	if row == nil {
		s.known.Remove(clientKey)
		s.strangers.Add(clientKey, t)
		return t
	}
	s.strangers.Remove(clientKey)
	s.known.Add(clientKey, t)
	return t
}

// prepare makes a tenant of a row from which the revoked secrets are barred.
func (c *tenants) prepare(row *Installation, readAt time.Time, before *tenant, revoked *revoked) *tenant {
	appSecrets, _ := c.appSecrets.known()
	if row == nil {
		return newTenant(nil, readAt, nil, nil, nil)
	}
	return newTenant(row, readAt, before, appSecrets, fingerprints(appSecrets, revoked, row.Key.ClientKey))
}
