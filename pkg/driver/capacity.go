package driver

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// GetCapacity returns what the tenant, or without a namespace the pool, can
// still store (CSI spec, GetCapacity).
func (c *Controller) GetCapacity(ctx context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	params, err := parseCapacity(r)
	if err != nil {
		return nil, err
	}
	at, err := c.pool(params)
	if err != nil {
		return nil, err
	}
	if err := checkFileSystem(at, params.backend); err != nil {
		return nil, err
	}
	be, err := c.backend(params.backend)
	if err != nil {
		return nil, err
	}
	free, err := be.Free(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("free space of %s: %w", at, err)
	}
	return &csi.GetCapacityResponse{
		AvailableCapacity: max(0, free),
		MaximumVolumeSize: wrapperspb.Int64(volume.MaxSize),
		MinimumVolumeSize: wrapperspb.Int64(volume.MinSize),
	}, nil
}

// parseCapacity refuses what CreateVolume would refuse too.
func parseCapacity(r *csi.GetCapacityRequest) (parameters, error) {
	params, err := parseParameters(r.GetParameters())
	if err != nil || len(r.GetVolumeCapabilities()) == 0 {
		return params, err
	}
	use, err := parseCapabilities(r.GetVolumeCapabilities())
	if err != nil {
		return params, err
	}
	return params, use.fits(params.backend)
}

func (c *Controller) pool(params parameters) (tenant.Place, error) {
	if params.namespace == "" && c.fallback == "" {
		return c.policy().Pool(params.cluster)
	}
	return c.place(c.policy(), params.namespace, params.cluster)
}
