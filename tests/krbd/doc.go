// Package krbd tests the kernel's mapper where it is: in a kernel that has
// rbd. Machines that build and test often lack it, so the test boots a virtual
// machine (QEMU without acceleration, a distribution's kernel, busybox) whose
// payload is package inside, with the real mapper, stager and mounts, against
// a real Ceph outside. `make test-krbd` runs it.
//
// The package must not be imported.
package krbd
