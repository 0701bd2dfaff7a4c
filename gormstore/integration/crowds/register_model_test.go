package crowds

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// This file says what a store does if it does one thing after another: each row is a register with compare-and-swap, and
// each claim one that is written once.

// action is what a store is asked for.
type action string

const (
	get   action = "Get"
	put   action = "Put"
	erase action = "Delete"
	claim action = "Claim"
)

// request is one call of a store.
type request struct {
	action   action
	key      string // of the row, or the claim's id
	revision int64  // for put and erase: the one that the row is believed to have
	value    string // for put and claim: unlike that of any other call
}

// word is what a store says beside values: there is no other error here.
type word string

const (
	done     word = "done"
	conflict word = "ErrConflict"
	notFound word = "ErrNotFound"
)

// reply is what came of a request.
type reply struct {
	word     word
	revision int64  // of get: the row's; of put: its new one
	value    string // of get and claim: the stored one
}

// register is the state of one row, or of one claim, which has no revision.
type register struct {
	exists   bool
	revision int64
	value    string
	highest  int64 // revision that the key ever had
}

// model is the contract of core.Store, as far as the four actions go.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, operation := range history {
			key := operation.Input.(request).key
			byKey[key] = append(byKey[key], operation)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		return state.(register).step(input.(request), output.(reply))
	},
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v: %+v", input.(request), output.(reply))
	},
}

// step reports whether the reply is the one that the contract demands, and returns what has become of the register.
func (r register) step(asked request, got reply) (bool, register) {
	current := asked.revision == r.revision && r.exists || asked.revision == 0 && !r.exists
	switch asked.action {
	case get:
		if !r.exists {
			return got == reply{word: notFound}, r
		}
		return got == reply{done, r.revision, r.value}, r
	case put:
		if !current {
			return got.word == conflict, r
		}
		// The contract leaves open by how much a revision grows.
		grown := got.word == done && got.revision > r.highest
		return grown, register{exists: true, revision: got.revision, value: asked.value, highest: got.revision}
	case erase:
		if !r.exists {
			return got.word == notFound, r
		}
		if !current {
			return got.word == conflict, r
		}
		return got.word == done, register{highest: r.highest}
	default: // claim
		if !r.exists {
			r = register{exists: true, value: asked.value}
		}
		return got == reply{word: done, value: r.value}, r
	}
}
