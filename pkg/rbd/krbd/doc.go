// Package krbd maps RBD images with the kernel's own client, through
// /sys/bus/rbd and the kernel keyring: no program, no helper process, nothing
// that dies with a container. It implements rbd.Mapper.
//
// It must not import go-ceph; a node that uses it maps without librbd.
package krbd
