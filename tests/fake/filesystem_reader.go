package fake

import (
	"context"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// FileReader reads what lies beside a file system with users' keys.
type FileReader struct{ files *FileSystem }

// NewFileReader returns a reader of a file system.
func NewFileReader(f *FileSystem) FileReader { return FileReader{f} }

// Read reads a record with a user's key.
func (r FileReader) Read(ctx context.Context, at tenant.Place, by volume.Credentials, name string) (cephfs.Reading, error) {
	got, err := r.files.Ceph.Read(ctx, at, by, recordName(name))
	return cephfs.Reading{Data: got.Data, FSID: got.FSID}, err
}

// Writer returns a subvolume's writer to a user that Allow has given the
// namespace <tenant>.keys.
func (r FileReader) Writer(ctx context.Context, at tenant.Place, by volume.Credentials, name string) (volume.Credentials, error) {
	return get(ctx, r.files.Faults, "Writer", name, func() (volume.Credentials, error) {
		if err := r.files.permit(by, keysOf(at.Tenant())); err != nil {
			return volume.Credentials{}, err
		}
		full := fullName(at, name)
		if !r.files.writers[full] {
			return volume.Credentials{}, fmt.Errorf("the writer of %s: %w", full, volume.ErrNotFound)
		}
		return writerOf(full), nil
	})
}

// keysOf is the namespace of a tenant's keys, which Allow gives to its writers.
func keysOf(tenant string) string { return tenant + ".keys" }

func writerOf(full string) volume.Credentials {
	return volume.Credentials{User: "sdpfs." + full, Key: volume.Secret("key of sdpfs." + full)}
}

// Prove notes a reader beside a golden, which its key alone may.
func (r FileReader) Prove(ctx context.Context, at tenant.Place, by volume.Credentials, s cephfs.Snapshot, node string) error {
	m := rbd.Mapping{Namespace: s.Tenant, Image: s.Subvolume, Identity: rbd.Identity{ImageID: s.Directory}}
	return r.files.Ceph.Lease(ctx, at, by, m, node+"/proof", time.Now())
}

// Lease notes a reader beside a golden.
func (r FileReader) Lease(ctx context.Context, at tenant.Place, by volume.Credentials, s cephfs.Snapshot, node string, until time.Time) error {
	m := rbd.Mapping{Namespace: s.Tenant, Image: s.Subvolume, Identity: rbd.Identity{ImageID: s.Directory}}
	return r.files.Ceph.Lease(ctx, at, by, m, node, until)
}
