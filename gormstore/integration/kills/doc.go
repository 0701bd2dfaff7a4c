// Package kills kills an app, over and over, while sites install, rotate, update and uninstall, and checks after each
// restart that nothing which was promised is lost.
//
// The app is a process of its own, on a real database, and dies as by kill -9: at every gap between two statements to the
// database in turn, and at random moments after a callback was begun.
//
//	kills_test.go     a kill after another, and what is checked after each
//	moments_test.go   when the app is killed
//	site_test.go      a site, which works until the app is no more and notes what it was answered
//	promises_test.go  what must hold of a site's row
//	stages_test.go    how far the callbacks had got that a kill has cut off
package kills
