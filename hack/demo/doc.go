// Command demo runs the project's main job on real software: a throwaway
// one-node Ceph, the driver's two processes, and functions that read a golden.
// `make demo` builds and starts it; it leaves nothing behind unless -keep is
// given.
package main
