// Package tenants shows on a real Ceph, with the keys that sdpctl hands out,
// what each key can do and what it cannot: a matrix of roles, operations and
// targets, the life of a tenant, and requests through the driver that cross
// tenants.
package tenants
