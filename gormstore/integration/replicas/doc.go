// Package replicas runs three apps in processes of their own on one PostgreSQL, and checks what each of them knows of what
// the others were told, also while the database is down.
//
//	fleet_test.go       the replicas, their sites, and the clock of all of them
//	line_test.go        the way to the database, which can be cut
//	install_test.go     first installs and uninstalls
//	rotation_test.go    rotations
//	revocation_test.go  a revoked secret
//	outage_test.go      a minute without the database
//	flood_test.go       many bad tokens
package replicas
