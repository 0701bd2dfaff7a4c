package faults

import "errors"

// fault is what goes wrong at one call of the store.
type fault int

const (
	noFault        fault = iota
	failsBefore          // an error, and nothing was done
	failsAfter           // an error, though it was done
	timesOutBefore       // nothing is done, nor answered, before the context ends
	timesOutAfter        // it was done, and the context ends before the answer
	hangsUpBefore        // whoever is waiting for the app's answer leaves when the call begins
	hangsUpAfter         // he leaves when it is done
	panicsBefore
	panicsAfter
	comesTwice  // a driver that saw no answer has tried again, and the second answer is what comes back
	conflicts   // a Put is told that somebody else has written, though nobody has
	isOvertaken // another replica writes the row just before
)

var faults = []fault{
	failsBefore, failsAfter, timesOutBefore, timesOutAfter, hangsUpBefore, hangsUpAfter, panicsBefore, panicsAfter,
	comesTwice, conflicts, isOvertaken,
}

func (f fault) String() string {
	return map[fault]string{
		noFault:        "goes well",
		failsBefore:    "fails before it is done",
		failsAfter:     "fails after it is done",
		timesOutBefore: "times out before it is done",
		timesOutAfter:  "times out after it is done",
		hangsUpBefore:  "is hung up on before it is done",
		hangsUpAfter:   "is hung up on after it is done",
		panicsBefore:   "panics before it is done",
		panicsAfter:    "panics after it is done",
		comesTwice:     "comes twice",
		conflicts:      "conflicts with nobody",
		isOvertaken:    "is overtaken by another replica",
	}[f]
}

// strikes reports whether a call of the method can go wrong so.
func (f fault) strikes(method string) bool {
	switch f {
	case conflicts:
		return method == "Put"
	case hangsUpAfter:
		// Before and after a read are the same moment.
		return method == "Put" || method == "Claim" || method == "Touch" || method == "Revoke"
	default:
		return true
	}
}

// unanswered reports whether the app learns nothing of what the call came to.
func (f fault) unanswered() bool {
	switch f {
	case failsBefore, failsAfter, timesOutBefore, timesOutAfter, panicsBefore, panicsAfter:
		return true
	default:
		return false
	}
}

// hangsUp reports whether nobody is there any more to take the app's answer.
func (f fault) hangsUp() bool { return f == hangsUpBefore || f == hangsUpAfter }

var errFault = errors.New("the database has gone away")
