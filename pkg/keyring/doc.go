// Package keyring hands a cephx key to the kernel's own clients, rbd and ceph,
// through a keyring that no other thread sees. It must import no other package
// of the project but pkg/volume.
package keyring
