// Package requirements has an acceptance test for each requirement of docs/requirements.md, named by its number. Each
// plays it as a team would see it: an app with its lifecycle routes and its pages, its store on SQLite, and sites that
// install it, call it and change their secrets.
//
//	world_test.go       the app, its database, its log, and the clock of all
//	sites_test.go       sites, what they send, and what they must be answered
//	secrets_test.go     whose secret verifies for whom: per installation, for the whole app, and both side by side
//	rotation_test.go    a secret changes
//	lifecycle_test.go   installs, updates, uninstalls, and installs after that
//	report_test.go      what the app tells of its sites
//	operations_test.go  what an operator does: adopt, release, revoke, purge, erase, deploy
//	document_test.go    docs/requirements.md, held to these tests
//	story_test.go       all of it as one story of a fleet
//	fleet_test.go       the fleet, and the report as its sites know that it must be
package requirements
