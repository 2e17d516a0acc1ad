// Package conformance holds the contracts of rbd.Cluster, rbd.Reader and
// golden.Store, and the lives of volumes on them, as tests: one suite that runs
// on the fake, which it keeps honest, and on a real Ceph.
package conformance
