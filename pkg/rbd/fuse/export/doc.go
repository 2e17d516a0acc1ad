// Package export shows an open image as one file of a FUSE mount, on which a
// loop device is attached. It owns the kernel's side of an exporter process:
// the mount, the requests, and when to go.
//
// It knows images by a small port only and must not import go-ceph.
package export
