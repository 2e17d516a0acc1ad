// Package checkup looks whether the driver is well installed in a Kubernetes
// cluster. It changes nothing, and says for each fault what to do.
//
// It must not import Ceph, CSI or a backend: what it compares with comes as
// functions.
package checkup
