// Package tenants makes tenants by themselves: it reconciles the policy file
// and the cluster's namespaces into tenants in Ceph, which pkg/tenant makes,
// and into the Secrets that nodes and pods read their keys from. The keys come
// from Ceph and are nowhere else: losing this controller loses nothing.
//
// It must not import Ceph, CSI or a backend.
package tenants
