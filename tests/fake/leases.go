package fake

import (
	"context"
	"maps"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Leases returns who has noted itself beside an image, and until when.
func (c *Ceph) Leases(ctx context.Context, at tenant.Place, imageID string) (map[string]time.Time, error) {
	return get(ctx, c.Faults, "Leases", imageID, func() (map[string]time.Time, error) {
		return maps.Clone(c.space(at).leases[imageID]), nil
	})
}

// RemoveLeases forgets them.
func (c *Ceph) RemoveLeases(ctx context.Context, at tenant.Place, imageID string) error {
	return c.do(ctx, "RemoveLeases", imageID, func() error {
		delete(c.space(at).leases, imageID)
		return nil
	})
}
