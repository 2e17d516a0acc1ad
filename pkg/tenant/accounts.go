package tenant

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Accounts are Ceph's users and namespaces, as a tenant's life needs them.
// pkg/ceph implements it. All methods are idempotent; errors wrap the
// sentinels of pkg/volume. Safe for concurrent use.
type Accounts interface {
	Users
	Clients
	Namespaces
	VolumeUsers
}

// Users are the cephx users that this project made.
type Users interface {
	// Users returns all of them that are about the place's pool.
	Users(ctx context.Context, at Place) ([]User, error)
	// Put makes the user, or gives the one that is there exactly this access.
	// A user that belongs to another pool wraps volume.ErrConflict.
	Put(ctx context.Context, u User, a Access) error
	// Key returns the user's key; volume.ErrNotFound without the user.
	Key(ctx context.Context, at Place, u User) (volume.Credentials, error)
	// Remove removes the user. Who is connected with its key stays so.
	// Absent is success.
	Remove(ctx context.Context, at Place, u User) error
}

// Clients are the connected instances of users.
type Clients interface {
	// Connected returns the addresses of the instances that are connected as
	// users of this project, whether or not the user still exists. Users that
	// are about another pool are left out.
	Connected(ctx context.Context, at Place) (map[User][]string, error)
	// Block shuts instances out of the cluster, from now on and for longer
	// than any ticket lives.
	Block(ctx context.Context, at Place, addresses []string) error
}

// VolumeUsers are the users of single volumes, which a file system has: one for
// each that is written. Their keys lie where the tenant's writers read them.
type VolumeUsers interface {
	// VolumeUsers returns those whose keys lie there, though the user itself
	// may have been removed.
	VolumeUsers(ctx context.Context, at Place) ([]User, error)
	// PutVolumeUser makes a generation of one of those that VolumeUsers
	// returns, with a new key where it is not there, and leaves its key in the
	// place of the last one's. A volume that has gone wraps volume.ErrNotFound.
	PutVolumeUser(ctx context.Context, at Place, u User) error
}

// Namespaces are the RADOS namespaces of a pool, which tenants are, and beside
// each a tenant's directory in the file system, where the cluster has one.
type Namespaces interface {
	// MakeNamespace makes the place's namespace and directory. Present is
	// success.
	MakeNamespace(ctx context.Context, at Place) error
	// LimitFiles sets how many bytes the directories of a cluster's tenants may
	// have; 0: no limit. Tenants without a directory are left out.
	LimitFiles(ctx context.Context, at Place, bytes map[string]int64) error
	// RemoveNamespace removes both, and the keys of volumes that lie beside
	// them; volume.ErrInUse while there are images or subvolumes. Absent is
	// success.
	RemoveNamespace(ctx context.Context, at Place) error
	// ListNamespaces returns the pool's namespaces. at says which pool.
	ListNamespaces(ctx context.Context, at Place) ([]string, error)
}

// Access is what a user may do: with its role in the place of its tenant, and
// as a reader of single goldens. An adapter writes it in Ceph's words.
type Access struct {
	At      Place
	Role    Role          // empty for a golden's reader: nothing of At's own
	Goldens []SharedImage // in a fixed order
}

// SharedImage is a golden's image, or its subvolume, that a user may read.
type SharedImage struct {
	Place   Place
	Backend volume.Backend
	Name    string // of the image
	ImageID string
}

// Catalog tells what there is. pkg/golden implements it.
type Catalog interface {
	// Goldens returns the goldens of a place, without those that are deleted.
	Goldens(ctx context.Context, at Place) ([]volume.Golden, error)
	// Clones returns which tenants' images, or volumes and snapshots without
	// an image, hang on a golden. Images in the trash or set aside count too.
	Clones(ctx context.Context, at Place, g volume.Golden) ([]Clone, error)
	// Holds names what the place still holds of a tenant's own: a volume, a
	// snapshot, a golden. Empty: nothing.
	Holds(ctx context.Context, at Place) (string, error)
}

// Clone is an image of a tenant that hangs on a golden, or what refers to it
// without an image.
type Clone struct {
	Tenant string
	Image  string
}

// Ledger keeps small records in a place, under the contract of record.Store.
type Ledger interface {
	CreateRecord(ctx context.Context, at Place, name string, data []byte) error
	ReadRecord(ctx context.Context, at Place, name string) ([]byte, error)
	SwapRecord(ctx context.Context, at Place, name string, old, data []byte) error
}
