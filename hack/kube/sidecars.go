//go:build sidecars

// Package kube holds the versions of the sidecars next to those of Kubernetes,
// so that what they share is compiled once. hack/kubernetes builds them by
// these paths.
package kube

import (
	_ "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner"
	_ "github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer"
	_ "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter"
	_ "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller"
)
