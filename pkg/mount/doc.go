// Package mount is the node's kernel as staging and publishing need it: file
// systems are made, mounted, grown and bound, each time beginning with what
// the mount table shows, so that every call may be repeated and may begin
// where a killed one stopped. It implements rbd.Host and driver.Mounter.
//
// Mounts are system calls; programs run only to format a blank volume, and to
// grow one where the process may not ask the kernel. Paths are walked without
// following symbolic links. It needs Linux 5.8 (openat2, statx with mount
// IDs); the mount API of 5.2 and mount_setattr of 5.12 have substitutes.
//
// The package must import neither Ceph, CSI, nor the packages whose ports it
// implements: only pkg/volume.
package mount
