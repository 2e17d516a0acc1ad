package rbd

import (
	"context"

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
}

// Device is a block device of this node that shows a mapped image.
type Device struct {
	Path string // /dev/rbd0, /dev/nbd3, /dev/loop7
}

// Mapper makes block devices of images. Its state is what the kernel and the
// process table show, so any mapper of the same kind goes on where a killed
// one stopped. Safe for concurrent use; two calls for the same mapping are
// serialised by the caller, calls for different ones never wait for each other.
type Mapper interface {
	// Map returns the device of m, mapping it unless it is mapped already.
	// It wraps volume.ErrDenied for a key that may not read the image,
	// volume.ErrNotFound without the image, volume.ErrUnavailable when Ceph
	// does not answer, volume.ErrNoSpace when the node has no device left.
	// What a failed Map began it has undone.
	Map(ctx context.Context, m Mapping, c volume.Credentials) (Device, error)
	// Find returns m's device, or wraps volume.ErrNotFound. It asks the
	// kernel only, never Ceph. Monitors and ReadOnly of m are not compared.
	Find(ctx context.Context, m Mapping) (Device, error)
	// Refresh makes the device as large as its image is now.
	Refresh(ctx context.Context, m Mapping) error
	// Unmap removes m's device and all that served it. Absent is success; a
	// device that is open wraps volume.ErrInUse and is left as it was.
	Unmap(ctx context.Context, m Mapping) error
	// Limit returns how many images the node can have mapped at once.
	Limit() int64
}
