package faults

import (
	"context"
	"sync"
	"time"

	"github.com/hostbond/hostbond/core"
)

// call is one call of the store.
type call struct {
	method  string
	awaited bool // the app's answer waits for it
}

// saboteur lets one of the calls that one replica makes go wrong.
type saboteur struct {
	hangUp   context.CancelFunc // ends the request that is being served
	overtake func(core.Key)     // writes the row as another replica
	answered func() bool

	mu     sync.Mutex
	armed  bool
	at     int // the call that goes wrong, from 0
	fault  fault
	calls  []call
	struck string // the method of the call that went wrong
}

// arm begins to count. Without a fault it finds out which calls the app's answer waits for.
func (s *saboteur) arm(at int, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.at, s.fault, s.calls, s.struck = true, at, f, nil, ""
}

// disarm lets everything go well from now on, and returns the calls there were and the method of the one that went wrong.
func (s *saboteur) disarm() (calls []call, struck string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	return s.calls, s.struck
}

// next counts a call and returns what happens to it.
func (s *saboteur) next(method string) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed {
		return noFault
	}
	n := len(s.calls)
	s.calls = append(s.calls, call{method: method})
	switch {
	case s.fault == noFault:
		s.mu.Unlock()
		// Whoever does not wait for this call has his answer a moment later.
		letOthersGo()
		s.mu.Lock()
		s.calls[n].awaited = !s.answered()
		return noFault
	case n == s.at:
		s.struck = method
		return s.fault
	default:
		return noFault
	}
}

// leave hangs up. Whoever has his answer by then is not concerned.
func (s *saboteur) leave() {
	letOthersGo()
	s.hangUp()
	letOthersGo()
}

// letOthersGo returns when everybody else in the bubble is waiting: only then its clock moves.
func letOthersGo() { <-time.After(time.Nanosecond) }

// conduct makes the call, or lets it go wrong.
func (s *saboteur) conduct(ctx context.Context, method string, key core.Key, call func(context.Context) error) error {
	switch s.next(method) {
	case failsBefore:
		return errFault
	case failsAfter:
		_ = call(ctx)
		return errFault
	case timesOutBefore:
		<-ctx.Done()
		return ctx.Err()
	case timesOutAfter:
		_ = call(ctx)
		<-ctx.Done()
		return ctx.Err()
	case hangsUpBefore:
		s.leave()
	case hangsUpAfter:
		err := call(ctx)
		s.leave()
		return err
	case panicsBefore:
		panic(errFault)
	case panicsAfter:
		_ = call(ctx)
		panic(errFault)
	case comesTwice:
		_ = call(ctx)
	case conflicts:
		return core.ErrConflict
	case isOvertaken:
		s.overtake(key)
	}
	return call(ctx)
}
