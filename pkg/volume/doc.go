// Package volume is the project's vocabulary: identifiers, what a caller
// wants (Spec), what exists (Volume, Snapshot, Golden), and the sentinel
// errors every other package wraps.
//
// It uses the standard library only and knows no other package of this
// project, no Ceph, no CSI and no kernel.
package volume
