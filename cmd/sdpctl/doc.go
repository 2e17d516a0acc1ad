// Command sdpctl is the operator's tool of sdp-csi: it imports, lists and
// deletes goldens, shows tenants and volumes, and speaks to Ceph directly.
//
// It holds no logic of its own: every verb is a call of pkg/golden, pkg/rbd,
// pkg/cephfs or pkg/tenant. It must not know gRPC or CSI.
package main
