// Package ceph speaks to Ceph: it owns the connections and implements the
// ports of pkg/rbd and pkg/golden on them.
//
// It is the only importer of go-ceph, and so the only cgo. It must not import
// pkg/driver or anything of CSI. A call into librados or librbd takes no
// context and occupies a thread until it returns; every one ends by itself
// within the time-outs of Options.
package ceph
