// Package fuse maps RBD images with a process of its own for each, which shows
// the image as a file (cmd/sdp-export), and a loop device on that file: for
// nodes whose kernel has neither rbd nor nbd. It implements rbd.Mapper.
//
// What is mapped is what the kernel shows: the mount table, the loop devices
// and the owner of a file lock. The processes outlive the driver; the next one
// finds them. It must not import go-ceph.
package fuse
