// Package rbd makes volumes of RBD images: provisioning on the controller
// (record, image, snapshot) and staging on the node (map, mount).
//
// It knows Ceph through the ports in cluster.go, the node's kernel through
// mapper.go and host.go. It must not import pkg/driver, pkg/cephfs or go-ceph.
package rbd
