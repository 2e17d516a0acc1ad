package driver

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Provisioner makes and removes volumes. All methods are idempotent; calls
// for one ID are serialised by the caller, others run in parallel. Errors
// wrap the sentinels of pkg/volume.
type Provisioner interface {
	// Create makes the volume, or returns the one that is there whatever its
	// properties: the caller compares. golden is where the source golden
	// lives; it is nowhere for other sources.
	Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error)
	// Delete removes the volume and all that only it needed. Absent is success.
	Delete(ctx context.Context, at tenant.Place, id volume.ID) error
	// Get returns a finished volume; ErrNotFound without one.
	Get(ctx context.Context, at tenant.Place, id volume.ID) (volume.Volume, error)
	// Expand makes the volume at least size bytes large.
	Expand(ctx context.Context, at tenant.Place, id volume.ID, size volume.Size) (volume.Volume, error)
	// List returns up to limit volumes of a place whose hash is after
	// `after`, in order, and the last hash it looked at (empty: no more).
	List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Volume, string, error)
	// Tenants returns the names of the tenants that the place's pool has, known
	// to the policy or not, in no order. It is for lists.
	Tenants(ctx context.Context, at tenant.Place) ([]string, error)
	// Free returns the bytes that the place can still store.
	Free(ctx context.Context, at tenant.Place) (int64, error)
}

// Snapshotter makes and removes snapshots, under the contract of Provisioner.
type Snapshotter interface {
	CreateSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, name string, source volume.ID) (volume.Snapshot, error)
	DeleteSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) error
	GetSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (volume.Snapshot, error)
	ListSnapshots(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Snapshot, string, error)
}

// Stager makes volumes visible in their staging directories. Calls for one ID
// are serialised by the caller.
type Stager interface {
	// Stage maps and mounts the volume; ErrDenied when the request's key may
	// not read the volume's record. Staged already is success.
	Stage(ctx context.Context, at tenant.Place, s volume.Stage) error
	// Unstage undoes Stage, also a half done one. Not staged is success.
	Unstage(ctx context.Context, at tenant.Place, id volume.ID, path string) error
	// Expand makes the device and the file system on it as large as the
	// image is; path is where the volume is staged or published. ErrNotFound
	// when it is not staged here.
	Expand(ctx context.Context, at tenant.Place, id volume.ID, path string) error
	// Shown says whether this node shows the volume at path, staged or
	// published; with an empty path, whether it has the volume at all. It asks
	// the kernel only, never Ceph. ErrNotFound when it does not.
	Shown(ctx context.Context, at tenant.Place, id volume.ID, path string) error
	// Limit returns how many volumes the node can have staged.
	Limit() int64
}

// Goldens shows goldens to pods that have no volume of them: inline volumes.
// Calls for one handle are serialised by the caller.
type Goldens interface {
	// ShowGolden shows the golden of the place owner at the target, read-only,
	// and keeps it from being purged meanwhile. at is the pod's place, whose
	// key must be able to read the golden: ErrDenied. ErrNotFound without a
	// golden that is sealed and not retired. Shown already is success, and
	// asks Ceph nothing.
	ShowGolden(ctx context.Context, at, owner tenant.Place, in volume.Inline) error
	// HideGolden undoes ShowGolden, and removes the target. It asks the kernel
	// only. Not shown there under that handle is success.
	HideGolden(ctx context.Context, handle, target string) error
	// ShownTo returns the handles of the inline volumes that pods of the tenant
	// of that name have on this node, perhaps more than once, in no order. It
	// asks the kernel only.
	ShownTo(ctx context.Context, name string) ([]string, error)
	// ShownGolden says whether the target shows the inline volume; ErrNotFound
	// when it does not. It asks the kernel only.
	ShownGolden(ctx context.Context, handle, target string) error
}

// Mounter shows staged volumes to pods. It makes no Ceph call. Calls for one
// volume's targets are serialised by the caller.
type Mounter interface {
	// Publish binds the staged volume over the target. Published already in
	// the same way is success, in another way ErrConflict. A staging path
	// without a volume, a read-only publication of a writable block volume,
	// and another target that shows a volume which is to be published alone
	// are ErrInUse: the call's precondition is not met.
	Publish(ctx context.Context, p volume.Publication) error
	// Unpublish removes the mount and the target. Absent is success.
	Unpublish(ctx context.Context, target string) error
	// Usage tells how full the volume mounted or bound at path is;
	// ErrNotFound when nothing is. It ends with ctx even if Ceph hangs.
	Usage(ctx context.Context, path string) (volume.Usage, error)
}
