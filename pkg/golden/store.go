package golden

import (
	"context"
	"io"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Store is Ceph as goldens need it. pkg/ceph implements it on a real Ceph,
// tests/fake in memory. The contracts of errors, time and concurrency are
// those of record.Store. There is one for each backend; their records of
// goldens, and the locks on those, are the same.
type Store interface {
	record.Store
	Images
	Leases
	// LockRecord takes an exclusive, self-expiring lock on a name and keeps
	// it until the returned function is called. A name that somebody else has
	// locked wraps volume.ErrPending. The lock of a killed holder expires
	// within a minute.
	LockRecord(ctx context.Context, at tenant.Place, name string) (unlock func(), err error)
}

// Images are the images and snapshots that goldens are.
type Images interface {
	CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error
	// OpenImage opens an image for reading and writing.
	OpenImage(ctx context.Context, at tenant.Place, name string) (Image, error)
	ImageID(ctx context.Context, at tenant.Place, name string) (string, error)
	RemoveImage(ctx context.Context, at tenant.Place, name string) error
	CreateSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error
	// SnapshotID returns Ceph's id of a snapshot; volume.ErrNotFound without it.
	SnapshotID(ctx context.Context, at tenant.Place, image, snapshot string) (uint64, error)
	RemoveSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error
	// Children returns how many clones the snapshot has, in all namespaces.
	Children(ctx context.Context, at tenant.Place, image, snapshot string) (int, error)
}

// Leases are what nodes note that read an image without a clone of their own.
type Leases interface {
	// Leases returns the nodes, and until when each reads. Without any it is
	// empty.
	Leases(ctx context.Context, at tenant.Place, imageID string) (map[string]time.Time, error)
	// RemoveLeases forgets them all. Absent is success.
	RemoveLeases(ctx context.Context, at tenant.Place, imageID string) error
}

// Image is an open image. ReadAt and WriteAt may be called concurrently.
type Image interface {
	io.ReaderAt
	io.WriterAt
	// Flush makes what was written durable.
	Flush() error
	io.Closer
}
