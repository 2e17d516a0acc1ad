package ceph

import (
	"context"
	"errors"

	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

var _ golden.CloneLister = (*Cluster)(nil)

// Clones implements golden.CloneLister.
func (c *Cluster) Clones(ctx context.Context, at tenant.Place, g volume.Golden) ([]tenant.Clone, error) {
	if g.Backend() == volume.CephFS {
		return NewFileSystem(c).referrers(ctx, at, g)
	}
	var children []librbd.ImageSpec
	err := c.openReadOnly(ctx, at, g.Ref.Image(), func(i *librbd.Image) (err error) {
		if err := i.SetSnapshot(volume.SealedSnapshot); err != nil {
			return err
		}
		children, err = i.ListChildrenAttributes()
		return err
	})
	if errors.Is(err, volume.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, about("list the clones of", at, g.Ref.Image(), err)
	}
	clones := make([]tenant.Clone, len(children))
	for i, child := range children {
		clones[i] = tenant.Clone{Tenant: child.PoolNamespace, Image: child.ImageName}
	}
	return clones, nil
}
