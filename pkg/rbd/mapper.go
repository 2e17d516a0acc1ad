package rbd

import (
	"context"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Mapping names what a node maps: an image, or one of its snapshots.
type Mapping struct {
	Monitors  []string // host:port, messenger v2
	Pool      string
	Namespace string
	Image     string
	Snapshot  string // empty: the image's head
	ReadOnly  bool   // always with a snapshot

	// Identity tells an image from another one that had its name before. It
	// is set wherever a record was read; an unstage knows the names only.
	Identity
}

// Identity is what Ceph calls a mapped image. Zero fields are not known.
type Identity struct {
	FSID       string // of the cluster
	PoolID     int64
	ImageID    string
	SnapshotID uint64 // 0: the image's head
}

// Agrees says whether what is known in i is the same in other.
func (i Identity) Agrees(other Identity) bool {
	return (i.FSID == "" || i.FSID == other.FSID) && (i.PoolID == 0 || i.PoolID == other.PoolID) &&
		(i.ImageID == "" || i.ImageID == other.ImageID) && (i.SnapshotID == 0 || i.SnapshotID == other.SnapshotID)
}

// IsOurs says whether an image's name is one that this driver maps.
func IsOurs(image string) bool {
	return strings.HasPrefix(image, volumePrefix) || strings.HasPrefix(image, "golden.")
}

// Device is a block device of this node that shows a mapped image.
type Device struct {
	Path string // /dev/rbd0, /dev/nbd3, /dev/loop7
}

// Mapped is a device of this node and what it shows, as the kernel tells.
type Mapped struct {
	Mapping // without monitors, with its identity
	Device  Device
}

// Mapper makes block devices of images. Its state is what the kernel and the
// process table show, so any mapper of the same kind goes on where a killed
// one stopped. Safe for concurrent use; two calls for the same mapping are
// serialised by the caller, calls for different ones never wait for each other.
type Mapper interface {
	// Map returns the device of m, mapping it unless it is mapped already.
	// It wraps volume.ErrDenied for a key that may not read the image,
	// volume.ErrNotFound without the image, volume.ErrUnavailable when Ceph
	// does not answer, volume.ErrNoSpace when the node has no device left,
	// volume.ErrInUse when another client writes the image. An identity that
	// is not that of the image found under the names is volume.ErrNotFound.
	// What a failed Map began it has undone.
	Map(ctx context.Context, m Mapping, c volume.Credentials) (Device, error)
	// Find returns m's device, or wraps volume.ErrNotFound. It asks the
	// kernel only, never Ceph. The names must be m's, and so must those
	// fields of the identity that m knows; Monitors and ReadOnly are not
	// compared.
	Find(ctx context.Context, m Mapping) (Device, error)
	// List returns all devices of this kind of mapper that show images of
	// this driver (names vol.*, golden.*), for sweeps. It asks the kernel only.
	List(ctx context.Context) ([]Mapped, error)
	// Refresh makes the device as large as its image is now.
	Refresh(ctx context.Context, m Mapping) error
	// Unmap removes m's device and all that served it. Absent is success; a
	// device that is open wraps volume.ErrInUse and is left as it was.
	Unmap(ctx context.Context, m Mapping) error
	// Exclusive says whether a writable mapping is refused (volume.ErrInUse,
	// naming the holder) while another client holds the image, and keeps
	// others out. A mapper without it serves read-only volumes only.
	Exclusive() bool
	// Limit returns how many images the node can have mapped at once.
	Limit() int64
}
