package driver

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ValidateVolumeCapabilities says whether a volume can be used as asked (CSI
// spec, ValidateVolumeCapabilities). What it cannot be used for is an answer,
// not an error.
func (c *Controller) ValidateVolumeCapabilities(ctx context.Context, r *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if len(r.GetVolumeCapabilities()) == 0 {
		return nil, fmt.Errorf("volume capabilities are missing: %w", volume.ErrInvalid)
	}
	v, err := c.get(ctx, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	if err := suits(v, r); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext: r.GetVolumeContext(), VolumeCapabilities: r.GetVolumeCapabilities(), Parameters: r.GetParameters(),
	}}, nil
}

// suits says why the volume cannot be used as asked, or nil.
func suits(v volume.Volume, r *csi.ValidateVolumeCapabilitiesRequest) error {
	use, err := parseCapabilities(r.GetVolumeCapabilities())
	if err != nil {
		return err
	}
	if err := refuseMutable(r.GetMutableParameters()); err != nil {
		return err
	}
	params, err := parseParameters(r.GetParameters())
	if err != nil {
		return err
	}
	if err := use.suits(v); err != nil {
		return err
	}
	return params.suit(v)
}

// suits says why the volume has not the use, or nil.
func (u usage) suits(v volume.Volume) error {
	switch {
	case u.block != v.Block:
		return fmt.Errorf("volume %s: block is %t, not %t: %w", v.ID, v.Block, u.block, volume.ErrInvalid)
	case v.ReadOnly && !u.readOnly:
		return fmt.Errorf("volume %s is read-only: use a reader's access mode: %w", v.ID, volume.ErrInvalid)
	case u.fsType != "" && u.fsType != v.FsType:
		return fmt.Errorf("volume %s has an %s file system, not %s: %w", v.ID, v.FsType, u.fsType, volume.ErrInvalid)
	}
	return u.fitsNodes(v.ID.Backend)
}

// suit says which parameter the volume was not made with. A golden counts
// where the volume had no dataSource, which wins over it.
func (p parameters) suit(v volume.Volume) error {
	golden := v.Source.Golden
	if p.golden.Tenant == "" && golden.Tenant == v.ID.Tenant {
		golden.Tenant = ""
	}
	given := v.Source.IsGolden() || v.Source.IsZero()
	switch {
	case p.golden != volume.GoldenRef{} && given && p.golden != golden:
		return fmt.Errorf("volume %s was made of %s, not of golden %s: %w", v.ID, v.Source, p.golden, volume.ErrInvalid)
	case p.cluster != "" && p.cluster != v.ID.Cluster:
		return fmt.Errorf("volume %s is in cluster %s, not in %.64q: %w", v.ID, v.ID.Cluster, p.cluster, volume.ErrInvalid)
	case p.backend != v.ID.Backend:
		return fmt.Errorf("volume %s is of backend %s, not %s: %w", v.ID, v.ID.Backend, p.backend, volume.ErrInvalid)
	case p.prefetch != v.Prefetch:
		return fmt.Errorf("volume %s was made with prefetch %s, not %s: %w", v.ID, v.Prefetch, p.prefetch, volume.ErrInvalid)
	case p.share != v.Share:
		return fmt.Errorf("volume %s was made with share %s, not %s: %w", v.ID, v.Share, p.share, volume.ErrInvalid)
	}
	return nil
}
