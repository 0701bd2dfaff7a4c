// Package crowds tests what happens when many come at once: callbacks of one tenant, updates of all tenants, operations
// on one row, and pages while the secrets that they are signed with are rotated. Two replicas share the store each time.
package crowds
