// Package e2e tests the driver as a cluster has it: deploy/kubernetes applied
// to a real Kubernetes of one node (hack/kubernetes) beside a real Ceph, the
// driver and its sidecars in pods of the built image, functions in pods.
// `make e2e` runs it.
//
// The package must not be imported.
package e2e
