// Package realceph gives tests a real Ceph: the one that `hack/ceph up DIR`
// started, named by SDP_CEPH=DIR. Each test gets a pool of its own, so tests
// run in parallel, and on a Ceph that others use.
//
// It runs Ceph's own programs and must not import go-ceph.
package realceph
