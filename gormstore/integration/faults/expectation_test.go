package faults

import "net/http"

// expected returns the status of the answer when the call numbered at goes wrong; 0 for none.
func (r *rehearsal) expected(at int, f fault) int {
	switch {
	case !r.calls[at].awaited:
		return r.flow.answer
	case f.hangsUp():
		return 0
	// What may have been done and what was not cannot be told apart, and only a no is safe.
	case f.unanswered() && !r.flow.stale:
		return http.StatusServiceUnavailable
	// Nobody signs, so that nothing tells an install that was applied already from somebody else's.
	case r.flow.unsigned && (f == isOvertaken || f == comesTwice && r.calls[at].method == "Put"):
		return http.StatusUnauthorized
	default:
		return r.flow.answer
	}
}

// commits returns how many Puts of the app are committed when the call numbered at goes wrong.
func (r *rehearsal) commits(at int, f fault) int {
	call := r.calls[at]
	before, all := 0, 0
	for n, c := range r.calls {
		if c.method == "Put" {
			all++
			if n < at {
				before++
			}
		}
	}
	done := before
	if call.method == "Put" {
		done++
	}
	// A callback goes on though nobody waits, once its signature is verified. Nothing else does.
	goesOn := r.flow.callback() && at >= r.flow.lookups || !call.awaited
	decidesAnew := r.flow.callback() && call.awaited || r.flow.insists
	switch f {
	case failsBefore, timesOutBefore, panicsBefore:
		return before
	case failsAfter, timesOutAfter, panicsAfter:
		return done
	case hangsUpBefore:
		if !goesOn {
			return before
		}
	case hangsUpAfter:
		if !goesOn {
			return done
		}
	case comesTwice:
		// The second Put conflicts with the first. Decided anew the callback has been applied, and there is no change
		// to follow.
		if call.method == "Put" {
			return done
		}
	case conflicts:
		if !decidesAnew {
			return before
		}
	case isOvertaken:
		if call.method == "Put" && !decidesAnew {
			return before
		}
	}
	return all
}
