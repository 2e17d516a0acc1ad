// Package tenant is the policy: which clusters there are, which Kubernetes
// namespace belongs to which tenant, and which goldens a tenant may use. It
// alone can mint a Place, and every verb of every backend needs one, so code
// that has no permission has nothing to call a backend with.
//
// It knows no Ceph and no gRPC.
package tenant
