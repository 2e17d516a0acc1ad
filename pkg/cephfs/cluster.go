package cephfs

import (
	"context"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Cluster is Ceph as the controller side needs it. pkg/ceph implements it on
// a real Ceph, tests/fake in memory.
//
// Every call is bounded by its context and by the cluster's own time-outs. It
// returns volume.ErrUnavailable when it is not known whether a change took
// effect; one that was given up may still take effect later. All methods are
// safe for concurrent use, also on the same name.
type Cluster interface {
	record.Store
	Quota
	Subvolumes
	Snapshots
	References
	Writers
	// Free returns the bytes that the file system's data pool can still store.
	Free(ctx context.Context, at tenant.Place) (int64, error)
	// ListNamespaces returns the namespaces of the place's pool.
	ListNamespaces(ctx context.Context, at tenant.Place) ([]string, error)
}

// Quota counts what the tenant's volumes take, those of other backends too.
type Quota interface {
	// Reserve sets the share of name; volume.ErrNoSpace over the limits.
	Reserve(ctx context.Context, at tenant.Place, name string, bytes int64) error
	// Release removes the share of name. Absent is success.
	Release(ctx context.Context, at tenant.Place, name string) error
	// HasShare says whether name has a share.
	HasShare(ctx context.Context, at tenant.Place, name string) (bool, error)
	// Used returns the sum of the shares.
	Used(ctx context.Context, at tenant.Place) (tenant.Usage, error)
}

// Subvolumes are the directories of a tenant's group. Their names here are
// without the tenant, which Ceph's names begin with: the RADOS namespace of a
// subvolume's data is made of its name alone.
type Subvolumes interface {
	// CreateSubvolume makes an empty subvolume with a quota of size bytes and
	// a RADOS namespace of its own, and the tenant's group. It returns the
	// name of the directory in it that holds the content. Present is success.
	CreateSubvolume(ctx context.Context, at tenant.Place, name string, size int64) (directory string, err error)
	// ResizeSubvolume sets the quota; volume.ErrNotFound without the subvolume.
	ResizeSubvolume(ctx context.Context, at tenant.Place, name string, size int64) error
	// RemoveSubvolume removes a subvolume. Absent is success. One with
	// snapshots wraps volume.ErrHasSnapshots and stays.
	RemoveSubvolume(ctx context.Context, at tenant.Place, name string) error
	// ListSubvolumes returns the names of a place's subvolumes.
	ListSubvolumes(ctx context.Context, at tenant.Place) ([]string, error)
	// Copy copies the snapshot's content into an empty subvolume and tells
	// read each time how many more bytes it has copied.
	Copy(ctx context.Context, at tenant.Place, from Snapshot, to string, read func(bytes int64)) error
}

// Snapshot names a snapshot of a subvolume, of whatever tenant.
type Snapshot struct {
	Tenant    string `json:"tenant"`
	Subvolume string `json:"subvolume"` // without the tenant
	Directory string `json:"directory"` // of the content, in the subvolume
	Name      string `json:"snapshot"`
}

// Root is the directory of the file system that a subvolume is: its content's
// directory and the snapshots are in it.
func Root(tenant, subvolume string) string {
	return "/volumes/" + tenant + "/" + tenant + "." + subvolume
}

// Snapshots are the snapshots of a place's subvolumes.
type Snapshots interface {
	// CreateSnapshot takes a snapshot; volume.ErrNotFound without the
	// subvolume. Present is success.
	CreateSnapshot(ctx context.Context, at tenant.Place, subvolume, snapshot string) error
	// RemoveSnapshot removes a snapshot. Absent (it or its subvolume) is
	// success. While it has references it stays: volume.ErrInUse. From the
	// moment that it is to go none can be added.
	RemoveSnapshot(ctx context.Context, at tenant.Place, subvolume, snapshot string) error
}

// References say who needs a snapshot. They lie where no tenant's key can
// write, so one that is there was added by a controller.
type References interface {
	// AddReference adds one. Present is success. A snapshot that is being
	// removed wraps volume.ErrNotFound. It does not look for the snapshot:
	// the caller does, afterwards.
	AddReference(ctx context.Context, at tenant.Place, to Snapshot, user string) error
	// HasReference says whether it is there.
	HasReference(ctx context.Context, at tenant.Place, to Snapshot, user string) (bool, error)
	// CloseReferences wraps volume.ErrInUse while there are references. From
	// its success on none can be added, until RemoveSnapshot has removed the
	// snapshot.
	CloseReferences(ctx context.Context, at tenant.Place, to Snapshot) error
	// RemoveReference removes one. Absent is success.
	RemoveReference(ctx context.Context, at tenant.Place, to Snapshot, user string) error
}

// Writers are the cephx users that may write, one for each writable volume.
// Such a user reaches the volume's content and nothing above it: who could
// write in the directories above could put a symbolic link there, which Ceph's
// manager, with all its rights, would follow.
type Writers interface {
	// AddWriter makes the user of a subvolume, and leaves its key where the
	// tenant's writing users alone can read it. Present is success.
	AddWriter(ctx context.Context, at tenant.Place, subvolume, directory string) error
	// RemoveWriter removes the key and the user. Absent is success.
	RemoveWriter(ctx context.Context, at tenant.Place, subvolume string) error
}

// Goldens resolves goldens for new volumes. pkg/golden implements it.
type Goldens interface {
	// Resolve returns a golden that new volumes may use. Without one, and for
	// one that is not sealed or is retired, it wraps volume.ErrNotFound.
	Resolve(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error)
}

// Reader reads on a node with the keys of one request. The connections are the
// reader's own, so what it can read proves what a key may.
type Reader interface {
	// Read returns a record as Records.ReadRecord does; volume.ErrDenied also
	// means that the cluster knows no such user or key.
	Read(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (Reading, error)
	// Writer returns the user that may write the subvolume; volume.ErrDenied
	// for a key that may only read the tenant's data.
	Writer(ctx context.Context, at tenant.Place, c volume.Credentials, subvolume string) (volume.Credentials, error)
	// Prove wraps volume.ErrDenied unless the key is that of the reader of the
	// snapshot's golden. node is this one's name.
	Prove(ctx context.Context, at tenant.Place, c volume.Credentials, s Snapshot, node string) error
	// Lease tells, for golden.Store.Leases, that node reads the golden of a
	// snapshot until then, whatever Prove does. The key of that golden's reader
	// may, and of those of other tenants none: volume.ErrDenied.
	Lease(ctx context.Context, at tenant.Place, c volume.Credentials, s Snapshot, node string, until time.Time) error
}

// Reading is a record as a node reads it, and where it lay.
type Reading struct {
	Data []byte
	FSID string // of the cluster
}
