package ceph

import (
	"context"
	"fmt"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// leasePrefix begins the names of the objects that readers of images without
// clones note themselves in. It is what a reading key may write.
const leasePrefix = "sdp.lease."

// leasesOf names the object of one image. Its omap has the nodes that read the
// image, each with the time until which it does.
func leasesOf(imageID string) string { return leasePrefix + imageID + ".nodes" }

// maxLeases is more than a cluster has nodes.
const maxLeases = 1 << 16

// Leases implements golden.Store.
func (c *Cluster) Leases(ctx context.Context, at tenant.Place, imageID string) (map[string]time.Time, error) {
	found := map[string]time.Time{}
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		values, err := ioctx.GetAllOmapValues(leasesOf(imageID), "", "", maxLeases)
		if err := absentIsDone(err); err != nil {
			return err
		}
		for node, text := range values {
			until, err := time.Parse(time.RFC3339, string(text))
			if err != nil {
				return fmt.Errorf("the lease of node %.64q is damaged: %w", node, err)
			}
			found[node] = until
		}
		return nil
	})
	return found, about("read the leases of", at, "image "+imageID, err)
}

// RemoveLeases implements golden.Store.
func (c *Cluster) RemoveLeases(ctx context.Context, at tenant.Place, imageID string) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error { return absentIsDone(ioctx.Delete(leasesOf(imageID))) })
	return about("remove the leases of", at, "image "+imageID, err)
}
