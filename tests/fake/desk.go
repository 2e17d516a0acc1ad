package fake

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Asking is a FileSystem for a controller whose key has no right on users: it
// asks a Desk, which is a process of its own otherwise.
type Asking struct {
	*FileSystem
	Desk *cephfs.Desk
}

// NewAsking returns a file system with a Desk that cuts off no tenant.
func NewAsking(f *FileSystem, policy *tenant.Policy) Asking {
	return Asking{f, cephfs.NewDesk(f, func() *tenant.Policy { return policy }, admitAll)}
}

func admitAll(context.Context, tenant.Place) (revoked bool, err error) { return false, nil }

// AddWriter asks for a writer.
func (a Asking) AddWriter(ctx context.Context, at tenant.Place, name, directory string) error {
	return a.Desk.Serve(ctx, at.Cluster().ID, cephfs.WriterRequest{Tenant: at.Tenant(), Subvolume: name, Directory: directory})
}

// RemoveWriter asks to remove one.
func (a Asking) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	return a.Desk.Serve(ctx, at.Cluster().ID, cephfs.WriterRequest{Tenant: at.Tenant(), Subvolume: name, Remove: true})
}
