package core

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// background counts what must end before the app does.
type background struct {
	ctx   context.Context // ends with close
	end   context.CancelFunc
	mu    sync.Mutex // between a look at ctx and group.Add
	under int        // as many as group waits for
	group sync.WaitGroup
}

func newBackground() *background {
	ctx, end := context.WithCancel(context.Background())
	return &background{ctx: ctx, end: end}
}

// enter counts the caller in, unless the app is closed. Who entered calls leave.
func (b *background) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return false
	}
	b.add()
	return true
}

// add counts one more in; b.mu is held.
func (b *background) add() {
	b.under++
	b.group.Add(1)
}

func (b *background) leave() {
	b.mu.Lock()
	b.under--
	b.mu.Unlock()
	b.group.Done()
}

// start runs f on its own goroutine, unless the app is closed and nothing is under way any more of which f could be a part.
func (b *background) start(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil && b.under == 0 {
		return
	}
	b.add()
	go func() {
		defer b.leave()
		f()
	}()
}

// every runs f at each tick until close.
func (b *background) every(d time.Duration, f func(context.Context)) {
	ticker := time.NewTicker(d)
	b.start(func() {
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				f(b.ctx)
			case <-b.ctx.Done():
				return
			}
		}
	})
}

// close lets nobody in any more and waits for the others.
func (b *background) close(ctx context.Context) error {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	done := make(chan struct{})
	go func() {
		b.group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keyLocks are locks by key, so that callbacks of one tenant do not spend each other's attempts. Two keys may share one.
type keyLocks struct {
	seed  maphash.Seed
	locks [256]chan struct{}
}

func newKeyLocks() keyLocks {
	l := keyLocks{seed: maphash.MakeSeed()}
	for n := range l.locks {
		l.locks[n] = make(chan struct{}, 1)
	}
	return l
}

// lock waits for the key's lock as long as ctx allows.
func (l *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	lock := l.locks[maphash.String(l.seed, key)%uint64(len(l.locks))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
