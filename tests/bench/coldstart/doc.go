// Package coldstart measures what a function's first request costs, by each way
// in which its model can come to it: in its image, by HTTP, as a volume of RBD
// or of CephFS. It is run by `make bench-coldstart` (hack/coldstart) where the
// node of hack/kubernetes is, with what it needs named by SDP_* variables.
//
// It goes by the protocol of the paper: rounds of consecutive calls, each round
// from cold. What cold means is in cold_test.go, and it is verified.
package coldstart
