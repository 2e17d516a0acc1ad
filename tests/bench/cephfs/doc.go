// Package cephfs measures goldens in CephFS through the real programs: what a
// read-only volume costs beside one of a small golden and beside RBD's, many at
// once, and what a node reads for many functions.
package cephfs
