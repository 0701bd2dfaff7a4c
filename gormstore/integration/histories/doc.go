// Package histories lives random histories of one site, its app and whoever is between or against them, on the real
// handler and the real stores, and checks after every step what must always hold.
//
// A history is a sequence of steps that a rapid test draws: the site swaps its secret and calls, the call arrives at one
// replica or at two, a call to the store goes through, fails, or fails after its commit, a replica crashes, the answer is
// lost, a page that was made long ago is opened, a thief sends a logged callback again. Nothing happens by itself: every
// replica stops at each call to its store until a step lets it go on. All of it runs in a bubble of testing/synctest, so
// no time passes but what a step says.
//
//	world_test.go       the site, its app on several replicas, and the clock
//	callbacks_test.go   callbacks on their way, and what replicas make of them
//	pages_test.go       pages that are made, and opened now or later
//	store_test.go       the store of one replica, which waits for the steps
//	steps_test.go       what can happen
//	invariants_test.go  what must hold
//	events_test.go      what must have happened, or the histories show nothing
//	histories_test.go   the histories, in memory and on every database
//	limits_test.go      what the rules cannot tell apart, as core states it
//	rules_test.go       each rule switched off, which the histories must notice
package histories
