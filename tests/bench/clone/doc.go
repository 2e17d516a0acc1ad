// Package clone measures what CreateVolume and golden imports cost, beside
// go-ceph and the rbd program used directly. It is run by `make bench-clone`.
package clone
