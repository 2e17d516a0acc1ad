// Package record keeps the records of a backend: small objects that are the
// truth about volumes, snapshots and goldens. A record comes before its subject
// and goes after it, tells how far that is, and is only changed by who has seen
// it as it is.
//
// It knows where records lie through its port Store. It must not import a
// backend, gRPC or go-ceph.
package record
