// Package inside is the payload of the virtual machine of tests/krbd: tests
// that run as root on a kernel with rbd, built without cgo, and read
// /scene.json. Nowhere else can they pass, hence the build tag krbd.
//
// It must not import go-ceph, nor anything that does.
package inside
