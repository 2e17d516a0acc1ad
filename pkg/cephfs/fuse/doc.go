// Package fuse mounts CephFS with the program ceph-fuse, for kernels that have
// no client of their own. It implements cephfs.Mounter.
//
// What is mounted is what the mount table shows, and who serves it is told by
// the arguments of the node's processes: the last one is the path. So the
// driver must see the host's processes (hostPID in Kubernetes), and the
// processes must outlive it: pkg/mounter starts them. It must not import
// go-ceph.
package fuse
