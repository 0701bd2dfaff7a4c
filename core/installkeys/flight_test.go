package installkeys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

func TestTwentyFetchesAtFirstThenFiveASecond(t *testing.T) {
	t.Parallel()
	tr, c := serving(nil), new(clock)
	keys := newKeys(t, tr, c.now, "https://a.example")
	asked := 0
	allowed := func() (n int) {
		for range 100 {
			asked++
			_, err := keys.Key(t.Context(), fmt.Sprintf("forged-%d", asked))
			if errors.Is(err, installkeys.ErrLimited) {
				return n
			}
			n++
		}
		return n
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 20}, {0, 0}, {199 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 5}, {time.Hour, 20}} {
		c.advance(step.after)
		if got := allowed(); got != step.want {
			t.Errorf("%v later %d fetches start, want %d", step.after, got, step.want)
		}
	}
}

func TestFourFetchesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		tr := &transport{answer: func(*http.Request) (*http.Response, error) {
			<-release
			return response(http.StatusNotFound, "")
		}}
		keys := newKeys(t, tr, nil, "https://a.example")
		var callers sync.WaitGroup
		for i := range 4 {
			callers.Go(func() { wantError(t, keys, fmt.Sprintf("forged-%d", i), installkeys.ErrUnknown) })
		}
		synctest.Wait()
		wantError(t, keys, kid, installkeys.ErrLimited)

		close(release)
		callers.Wait()
		wantError(t, keys, kid, installkeys.ErrUnknown)
	})
}

func TestFetchRefusedForWantOfASlotCostsNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		tr := &transport{answer: func(*http.Request) (*http.Response, error) {
			<-release
			return response(http.StatusNotFound, "")
		}}
		keys := newKeys(t, tr, new(clock).now, "https://a.example")
		var callers sync.WaitGroup
		for i := range 4 {
			callers.Go(func() { wantError(t, keys, fmt.Sprintf("forged-%d", i), installkeys.ErrUnknown) })
		}
		synctest.Wait()
		for i := range 100 {
			wantError(t, keys, fmt.Sprintf("refused-%d", i), installkeys.ErrLimited)
		}
		close(release)
		callers.Wait()
		for i := range 16 {
			wantError(t, keys, fmt.Sprintf("later-%d", i), installkeys.ErrUnknown)
		}
		wantError(t, keys, kid, installkeys.ErrLimited)
	})
}

func TestFloodOfForgedIDs(t *testing.T) {
	t.Parallel()
	known, fresh := publicKey(2048, 65537), publicKey(3072, 65537)
	tr, c := serving(map[string]string{
		"https://a.example/known": pemOf(t, known),
		"https://a.example/fresh": pemOf(t, fresh),
	}), new(clock)
	keys := newKeys(t, tr, c.now, "https://a.example", "https://b.example")
	wantKey(t, keys, "known", known)

	var flood sync.WaitGroup
	for worker := range 8 {
		flood.Go(func() {
			for i := range 1250 {
				_, err := keys.Key(t.Context(), fmt.Sprintf("forged-%d-%d", worker, i))
				if !errors.Is(err, installkeys.ErrUnknown) && !errors.Is(err, installkeys.ErrLimited) {
					t.Errorf("a forged id gets %v, want ErrUnknown or ErrLimited", err)
				}
				wantKey(t, keys, "known", known)
			}
		})
	}
	flood.Wait()

	// One request for the known key, then the nineteen tokens that it left, each for both hosts.
	if got, want := len(tr.requests()), 1+19*2; got != want {
		t.Errorf("10,000 forged ids and one known key cause %d requests, want %d", got, want)
	}
	// A genuine key that nobody has asked for yet is refused with the rest, and had for the next token.
	wantError(t, keys, "fresh", installkeys.ErrLimited)
	c.advance(200 * time.Millisecond)
	wantKey(t, keys, "fresh", fresh)
}

func TestConcurrentCallersShareOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key, release := publicKey(2048, 65537), make(chan struct{})
		file := pemOf(t, key)
		tr := &transport{answer: func(*http.Request) (*http.Response, error) {
			<-release
			return response(http.StatusOK, file)
		}}
		keys := newKeys(t, tr, nil, "https://a.example")
		var callers sync.WaitGroup
		for range 64 {
			callers.Go(func() { wantKey(t, keys, kid, key) })
		}
		synctest.Wait()
		close(release)
		callers.Wait()
		wantRequests(t, tr, "https://a.example/"+kid)
	})
}

func TestFetchThatLandedMeanwhileIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key, c := publicKey(2048, 65537), new(clock)
		files := map[string]string{}
		tr := serving(files)
		// The clock is read by a caller who has not found the key, and before it joins a fetch: there it can be held up.
		var held atomic.Bool
		release := make(chan struct{})
		keys := newKeys(t, tr, func() time.Time {
			if held.CompareAndSwap(true, false) {
				<-release
			}
			return c.now()
		}, "https://a.example")
		wantError(t, keys, kid, installkeys.ErrUnknown)
		files["https://a.example/"+kid] = pemOf(t, key)
		c.advance(time.Minute)

		held.Store(true)
		var callers sync.WaitGroup
		callers.Go(func() { wantKey(t, keys, kid, key) })
		synctest.Wait()
		wantKey(t, keys, kid, key)
		close(release)
		callers.Wait()
		wantRequests(t, tr, "https://a.example/"+kid, "https://a.example/"+kid) // in vain, and with success
	})
}

func TestCallerWhoLeavesDoesNotEndTheFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key, release := publicKey(2048, 65537), make(chan struct{})
		file := pemOf(t, key)
		tr := &transport{answer: func(r *http.Request) (*http.Response, error) {
			select {
			case <-release:
				return response(http.StatusOK, file)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}}
		keys := newKeys(t, tr, nil, "https://a.example")

		// The one who leaves is the one whose call started the fetch.
		leaving, leave := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if got, err := keys.Key(leaving, kid); got != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("the caller who left got %v, %v, want the error of its context", got, err)
			}
		})
		synctest.Wait()
		callers.Go(func() { wantKey(t, keys, kid, key) })
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		callers.Wait()
		wantRequests(t, tr, "https://a.example/"+kid)
	})
}

func TestFetchThatNobodyWaitsForIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		key, release := publicKey(2048, 65537), make(chan struct{})
		file := pemOf(t, key)
		tr := &transport{answer: func(*http.Request) (*http.Response, error) {
			<-release
			return response(http.StatusOK, file)
		}}
		keys := newKeys(t, tr, nil, "https://a.example")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if got, err := keys.Key(ctx, kid); got != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Key = %v, %v, want the error of the caller's context", got, err)
		}
		close(release)
		synctest.Wait()
		wantKey(t, keys, kid, key)
		wantRequests(t, tr, "https://a.example/"+kid)
	})
}

func TestCallerWhoHasLeftStartsNoFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := serving(nil)
		keys := newKeys(t, tr, nil, "https://a.example")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := keys.Key(ctx, kid); got != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Key = %v, %v, want the error of the context", got, err)
		}
		synctest.Wait()
		wantRequests(t, tr)
	})
}
