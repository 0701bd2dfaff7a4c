// Package faults tests what becomes of the bond with a site when the store fails. Of each thing that an app does, it
// lets each single call of the store go wrong in each way that a database can: before and after the commit, by an error,
// a time-out, a panic, a caller who hangs up, a delivery that is repeated, or another replica that comes between.
//
// It has nothing but tests, which run on every store: in memory and on the databases of package integration.
package faults
