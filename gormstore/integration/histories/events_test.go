package histories

import (
	"maps"
	"slices"
	"sync"
	"testing"
)

// event is something that histories have to come to, or they show nothing.
type event string

const (
	crashedAtWork     event = "a replica crashed in the middle of a callback"
	crashedInBetween  event = "a replica crashed between its commit and its answer"
	lostAnswer        event = "the answer to an applied callback was lost"
	metAnotherWrite   event = "a write met another one"
	retiredByRun      event = "a run retired a secret"
	retiredToMakeRoom event = "a full row gave up a secret"
	sentBackWhenFull  event = "a full row sent the site back"
	contestedRun      event = "a run was contested"
	sentAnotherBody   event = "a thief sent another body"
	cameTooLate       event = "a callback came too late"
	cameAgain         event = "a callback came again after it was applied"
	reportedAsFailed  event = "a write was done but reported as failed"
	servedWithoutRow  event = "a replica served without its database"
	overtook          event = "a page overtook its callback"
)

// required are the events that the histories of a kind must come to.
var required = map[kind][]event{
	signed:    {crashedAtWork, crashedInBetween, lostAnswer, metAnotherWrite, retiredByRun, sentAnotherBody, cameTooLate, cameAgain, reportedAsFailed, servedWithoutRow, overtook},
	offeredIt: {crashedAtWork, lostAnswer, metAnotherWrite, retiredByRun, cameTooLate, cameAgain},
	leaked:    {contestedRun, retiredByRun, lostAnswer},
	symmetric: {crashedAtWork, lostAnswer, metAnotherWrite, retiredByRun, sentAnotherBody, cameTooLate, cameAgain},
	idle:      {retiredToMakeRoom, sentBackWhenFull, lostAnswer},
}

// events counts in how many histories something has happened.
type events struct {
	mu    sync.Mutex
	count map[event]int
}

func (e *events) add(happened map[event]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.count == nil {
		e.count = map[event]int{}
	}
	for name, yes := range happened {
		if yes {
			e.count[name]++
		}
	}
}

// check logs how often each event has happened, and fails the test if one of those required has not.
func (e *events) check(t *testing.T, required []event) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(e.count)) {
		t.Logf("%6d: %s", e.count[name], name)
	}
	for _, name := range required {
		if e.count[name] == 0 {
			t.Errorf("no history came to this: %s", name)
		}
	}
}
