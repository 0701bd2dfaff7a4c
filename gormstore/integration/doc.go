// Package integration tests gormstore on real databases. It is a module of its own, so that their drivers stay out of
// the module graph of those who use gormstore.
//
// SQLite is always tested. The others are tested if the environment says how to reach them; each test makes a database
// of its own there, and drops it:
//
//	HOSTBOND_TEST_POSTGRES=postgres://postgres@127.0.0.1:5432/postgres
//	HOSTBOND_TEST_MYSQL='root@tcp(127.0.0.1:3306)/'
package integration
