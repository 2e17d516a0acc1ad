// Package nbd maps RBD images with the program rbd-nbd and the kernel's network
// block device, for kernels that have nbd and not rbd. It implements
// rbd.Mapper.
//
// What is mapped is what the kernel shows: a device names its process, and the
// process's environment, set by us, names the mapping. So the driver must see
// the host's processes (hostPID in Kubernetes), and the processes must outlive
// it. It must not import go-ceph.
package nbd
