// Package kubernetes and the packages below it speak to a Kubernetes cluster:
// tenants keeps the tenants' Secrets, function writes goldens into manifests
// and live objects, checkup looks whether the driver is well installed. They
// alone import client-go and the API's types.
//
// They know no Ceph and no CSI: what they need of tenants and goldens comes
// through pkg/tenant and pkg/volume.
package kubernetes
