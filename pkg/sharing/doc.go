// Package sharing lets the volumes of a node share what they all show. A
// golden is mounted once, below the driver's state directory; each volume of
// it is a read-only overlay of that mount at its own staging path.
//
// The state is in the mount table: an overlay's row names the golden's mount as
// its lower, and the volume as what it shows. What is in memory is only what is
// going on, and since when nobody uses a golden.
//
// How a golden is mounted is the backend's: pkg/rbd and pkg/cephfs. It must
// import neither of them, nor Ceph, CSI or pkg/mount.
package sharing
