// Package scene is what the outside of the virtual machine hands over to the
// inside: one JSON file in the machine's initial file system.
//
// It must not import go-ceph: the inside has no cgo.
package scene
