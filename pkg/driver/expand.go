package driver

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// expansion is a ControllerExpandVolume request, read.
type expansion struct {
	id   volume.ID
	size volume.Size
	use  *usage // nil: the caller does not say
}

// ControllerExpandVolume makes a volume larger (CSI spec,
// ControllerExpandVolume). The node has to grow the file system after it.
func (c *Controller) ControllerExpandVolume(ctx context.Context, r *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	x, err := parseExpansion(r)
	if err != nil {
		return nil, err
	}
	be, at, err := c.open(x.id)
	if err != nil {
		return nil, err
	}
	v, err := call(ctx, c.busy, x.id.String(), func(ctx context.Context) (volume.Volume, error) {
		return x.run(ctx, be, at)
	})
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Capacity, NodeExpansionRequired: growsOnNodes(v)}, nil
}

// growsOnNodes says whether a larger volume has a device and a file system
// that a node has to make larger, too. A quota has neither.
func growsOnNodes(v volume.Volume) bool { return !v.ReadOnly && v.ID.Backend == volume.RBD }

func parseExpansion(r *csi.ControllerExpandVolumeRequest) (x expansion, err error) {
	if x.size, err = parseSize(r.GetCapacityRange()); err != nil {
		return x, err
	}
	if x.size == (volume.Size{}) {
		return x, fmt.Errorf("the capacity range is missing: name the size to expand to: %w", volume.ErrInvalid)
	}
	if x.use, err = parseOptional(r.GetVolumeCapability()); err != nil {
		return x, err
	}
	x.id, err = volume.ParseID(r.GetVolumeId())
	return x, err
}

// parseOptional reads a capability that a caller may leave out.
func parseOptional(c *csi.VolumeCapability) (*usage, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // none is an answer
	}
	u, err := parseCapability(c)
	return &u, err
}

func (x expansion) run(ctx context.Context, be Backend, at tenant.Place) (volume.Volume, error) {
	if x.use != nil {
		v, err := be.Get(ctx, at, x.id)
		if err != nil {
			return v, err
		}
		if err := x.use.suits(v); err != nil {
			return v, err
		}
	}
	return be.Expand(ctx, at, x.id, x.size)
}
