package rbd

import (
	"context"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Cluster is Ceph as the controller side needs it. pkg/ceph implements it on
// a real Ceph, tests/fake in memory; tests/conformance holds both to the
// contracts written here.
//
// Every call is bounded in time by the cluster's own time-outs and returns
// volume.ErrUnavailable when it is not known whether a change took effect.
// A context that has ended before a call begins makes the call fail with the
// context's error and without effect; a call that has begun runs to its end.
// All methods are safe for concurrent use, also on the same name, and none
// waits for a call on another name.
type Cluster interface {
	record.Store
	Images
	Snapshots
	Quota
	// ListNamespaces returns the names of the RADOS namespaces of the place's
	// pool, in no order.
	ListNamespaces(ctx context.Context, at tenant.Place) ([]string, error)
	// Free returns the bytes that the place's pool can still store.
	Free(ctx context.Context, at tenant.Place) (int64, error)
}

// Quota counts what the volumes of a place take: each has a share, kept by its
// name, and their sum is kept with them. One step changes both, so they agree
// after any crash, and whoever asks reads one sum and lists nothing.
type Quota interface {
	// Reserve sets the share of name, a new one or one that is there, unless
	// the place would exceed its limits (tenant.Place.Limits) by that: then it
	// wraps volume.ErrNoSpace and tells what is used. A share that gets
	// smaller is always set.
	Reserve(ctx context.Context, at tenant.Place, name string, bytes int64) error
	// Release removes the share of name. Absent is success. No Reserve that
	// began before takes effect after it.
	Release(ctx context.Context, at tenant.Place, name string) error
	// HasShare says whether name has a share.
	HasShare(ctx context.Context, at tenant.Place, name string) (bool, error)
	// Used returns the sum of the shares.
	Used(ctx context.Context, at tenant.Place) (tenant.Usage, error)
}

// Parent is a snapshot to clone: an image of a place, by name.
type Parent struct {
	Place    tenant.Place
	Image    string
	Snapshot string
}

// Images are the RBD images of a place.
type Images interface {
	// CreateImage makes a blank image; volume.ErrExists when the name is
	// taken.
	CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error
	// CloneImage makes a copy-on-write clone (format v2) with the parent's
	// size. It wraps volume.ErrExists, or volume.ErrNotFound when the parent
	// or its snapshot is not there.
	CloneImage(ctx context.Context, parent Parent, at tenant.Place, name string) error
	// ResizeImage makes an image size bytes large; volume.ErrNotFound without
	// it. It never makes one smaller: one that is larger stays as it is.
	ResizeImage(ctx context.Context, at tenant.Place, name string, size int64) error
	// ImageID returns Ceph's id of the image; volume.ErrNotFound without it.
	// It opens no image.
	ImageID(ctx context.Context, at tenant.Place, name string) (string, error)
	// RenameImage renames; volume.ErrNotFound without `from`,
	// volume.ErrExists when `to` is taken.
	RenameImage(ctx context.Context, at tenant.Place, from, to string) error
	// RemoveImage removes an image, also one whose creation was interrupted.
	// Absent is success. It wraps volume.ErrHasSnapshots when the image has
	// snapshots (those in the trash too), volume.ErrInUse when it is open
	// somewhere for writing.
	RemoveImage(ctx context.Context, at tenant.Place, name string) error
}

// SnapshotInfo is what Ceph knows of an image's snapshot.
type SnapshotInfo struct {
	ID      uint64
	Size    int64 // bytes of the image when it was taken
	Created time.Time
}

// Snapshots are the snapshots of a place's images.
type Snapshots interface {
	// CreateSnapshot takes a snapshot; volume.ErrExists when the name is
	// taken, volume.ErrNotFound without the image. Of two calls for one name
	// at once both may succeed: librbd takes the other's snapshot for its own.
	CreateSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error
	// Snapshot describes a snapshot; volume.ErrNotFound without it or its image.
	Snapshot(ctx context.Context, at tenant.Place, image, snapshot string) (SnapshotInfo, error)
	// RemoveSnapshot removes one. Absent (the snapshot or the image) is
	// success. One that has clones goes to the image's trash, where it keeps
	// the clones readable and goes away with the last of them.
	RemoveSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error
}

// Goldens resolves goldens for new volumes. pkg/golden implements it.
type Goldens interface {
	// Resolve returns a golden that new volumes may use. Without one, and for
	// one that is not sealed or is retired, it wraps volume.ErrNotFound and
	// says which.
	Resolve(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error)
}

// Reader reads on a node with the key of one request. The connection is the
// reader's own, so what it can read proves what the key may.
type Reader interface {
	// Read returns a record as Records.ReadRecord does. volume.ErrDenied also
	// means that the cluster knows no such user or key.
	Read(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (Reading, error)
	// MayRead wraps volume.ErrDenied unless the key may read the image of m,
	// which is found by its id, and volume.ErrNotFound when it is gone. The
	// image is in the cluster and the pool of at and in the namespace of m.
	MayRead(ctx context.Context, at tenant.Place, c volume.Credentials, m Mapping) error
	// Lease tells beside the image of m, for golden.Store.Leases, that node
	// reads it until then. It is the one thing that a reading key may write;
	// volume.ErrDenied for one that may not.
	Lease(ctx context.Context, at tenant.Place, c volume.Credentials, m Mapping, node string, until time.Time) error
}

// Reading is a record as a node reads it, and where it lay.
type Reading struct {
	Data   []byte
	FSID   string // of the cluster
	PoolID int64
}
