// Package cephfs makes volumes of a CephFS file system. A writable volume is
// a subvolume of its tenant's group; a read-only one is a reference to a
// snapshot, which costs a few small records whatever the snapshot's size.
//
// Ceph it knows through the ports in cluster.go. It must not import gRPC,
// go-ceph, pkg/driver or another backend.
package cephfs
