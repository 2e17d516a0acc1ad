// Command sdp-export shows one RBD image, or a snapshot of one, as a file, for
// the fuse mapper of sdp-csi, which starts it and puts a loop device on the
// file. It outlives the driver and ends when its mount goes.
package main
