// Package cephfs measures what read-only volumes of goldens cost on a real
// file system, and beside them what the same costs with RBD:
//
//	SDP_CEPH=DIR go test -run '^$' -bench . ./tests/bench/cephfs
package cephfs
