// Package node measures what sharing a golden saves on one node, and how fast
// its first and its later reads are, beside what Ceph and a local disk do. It
// is run by `make bench-node`.
package node
