package ceph

import (
	"context"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// FileReader is a Reader of the records of file systems. It implements
// cephfs.Reader.
type FileReader struct{ reader *Reader }

var _ cephfs.Reader = FileReader{}

// NewFileReader returns a FileReader that has its connections in common with r.
func NewFileReader(r *Reader) FileReader { return FileReader{r} }

// Read implements cephfs.Reader.
func (f FileReader) Read(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (cephfs.Reading, error) {
	got, err := f.reader.Read(ctx, at, c, recordName(name))
	return cephfs.Reading{Data: got.Data, FSID: got.FSID}, err
}

// Writer implements cephfs.Reader.
func (f FileReader) Writer(ctx context.Context, at tenant.Place, c volume.Credentials, subvolume string) (volume.Credentials, error) {
	return f.reader.Writer(ctx, at, c, subvolume)
}

// Prove implements cephfs.Reader. A lease of the golden is what only the key of
// its reader may write, besides the tenant's own. This one ends at once: what
// holds the golden is the volume's reference. A golden's directory is its
// image's id.
func (f FileReader) Prove(ctx context.Context, at tenant.Place, c volume.Credentials, s cephfs.Snapshot, node string) error {
	m := rbd.Mapping{Namespace: s.Tenant, Image: s.Subvolume, Identity: rbd.Identity{ImageID: s.Directory}}
	return f.reader.Lease(ctx, at, c, m, node+proofSuffix, time.Now())
}

// proofSuffix keeps a proof from ending the node's lease.
const proofSuffix = "/proof"

// Lease implements cephfs.Reader.
func (f FileReader) Lease(ctx context.Context, at tenant.Place, c volume.Credentials, s cephfs.Snapshot, node string, until time.Time) error {
	m := rbd.Mapping{Namespace: s.Tenant, Image: s.Subvolume, Identity: rbd.Identity{ImageID: s.Directory}}
	return f.reader.Lease(ctx, at, c, m, node, until)
}
