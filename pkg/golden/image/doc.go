// Package image makes the file system image of a golden from a file, a
// directory or a tar, without a mount and without privilege, so that equal
// input gives equal bytes.
//
// A source becomes a Tree first: names and modes in memory, contents where
// they lie. From a tree comes an EROFS image, which exists only as a stream
// and needs no scratch space, or an ext4 image, which e2fsprogs make in a
// scratch file.
//
// EROFS is written here and not by mkfs.erofs because a digest must not
// depend on which version of erofs-utils made it, because erofs-utils of the
// current distributions read directories only, and because a scratch file of
// the golden's size costs more time than Ceph itself. The layout is the
// plainest that the on-disk format has (no compression, no inline data, no
// incompatible feature), which every kernel since 5.4 reads:
// https://erofs.docs.kernel.org/en/latest/core_ondisk.html
//
// The package must not know Ceph, policies or gRPC.
package image
