// Package mounter starts the programs that serve mounts and devices and must
// outlive the driver: sdp-export, rbd-nbd, ceph-fuse. It owns the port Starter
// with its two implementations, Local in this process and Client over a socket
// of a Server, which runs in a container of its own (DaemonSet sdp-mounter)
// because a container's end is the end of all that was started in it.
//
// A key reaches a program by an inherited descriptor only. What a program does,
// and how it is found again, is the business of its mapper: this package must
// not import any but pkg/volume.
package mounter
