// Package moves moves whole fleets to bindings and back while their sites call the app, kills an app over and over while it
// does so, and looks at what the databases have left of secrets and of installations that were to go.
//
//	fleet_test.go    many installations, and what they sign with
//	moves_test.go    a fleet is moved and released, with requests running
//	kills_test.go    an app that adopts is killed again and again
//	deletes_test.go  what is left of an installation that was purged or erased
package moves
