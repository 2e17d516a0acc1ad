// Package cluster is what tests need of a Kubernetes with the driver in it:
// kubectl, the objects that tests make, and the installation of
// deploy/kubernetes with a policy and keys of a real Ceph, as an administrator
// does it. The Kubernetes is that of hack/kubernetes, in whose place the tests
// run.
//
// It must not be imported by anything but tests.
package cluster
