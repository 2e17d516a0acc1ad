// Command sdp-csi is the CSI driver. It wires the packages together and has
// flags and signals, no logic: what a verb does is in pkg/driver, what Ceph
// and the kernel do behind it is below that.
//
// A controller needs the key of the policy file's rows; a node has no key of
// its own and uses the one that comes with each request.
package main
