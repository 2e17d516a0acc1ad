// Package kernel mounts CephFS with the kernel's own client, by system calls
// and the kernel keyring: no program, no process, nothing that dies with a
// container. It implements cephfs.Mounter.
//
// It must not import go-ceph; a node that uses it mounts without libcephfs.
package kernel
