package driver

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateVolume makes a volume, blank or from a golden, a snapshot or a volume
// (CSI spec, CreateVolume).
func (c *Controller) CreateVolume(ctx context.Context, r *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	want, err := parseCreation(r)
	if err != nil {
		return nil, err
	}
	at, golden, err := c.admit(&want)
	if err != nil {
		return nil, err
	}
	be, err := c.backend(want.backend)
	if err != nil {
		return nil, err
	}
	id := at.VolumeID(want.backend, want.spec.Name)
	v, err := call(ctx, c.busy, id.String(), func(ctx context.Context) (volume.Volume, error) {
		return be.Create(ctx, at, golden, id, want.spec)
	})
	if err != nil {
		return nil, err
	}
	if err := want.spec.Check(v); err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: answer(v)}, nil
}

// admit finds where the volume goes and whether it may have its source.
func (c *Controller) admit(want *creation) (at, golden tenant.Place, err error) {
	policy := c.policy()
	if at, err = c.place(policy, want.namespace, want.cluster); err != nil {
		return at, golden, err
	}
	source := &want.spec.Source
	switch {
	case source.IsGolden():
		golden, err = policy.Golden(at, source.Golden)
		source.Golden.Tenant = golden.Tenant()
	case source.IsVolume():
		_, err = policy.Source(at, source.Volume)
	case source.IsSnapshot():
		_, err = policy.Source(at, volume.ID(source.Snapshot))
	}
	return at, golden, err
}

func (c *Controller) place(policy *tenant.Policy, namespace, cluster string) (tenant.Place, error) {
	if namespace == "" && c.fallback != "" {
		return policy.Default(c.fallback, cluster)
	}
	return policy.Admit(namespace, cluster)
}

// answer is the one builder of a volume's answer, for the first call, for a
// retry and for lists. The content source is told only for a dataSource: a
// golden of the class is no source that the caller named.
func answer(v volume.Volume) *csi.Volume {
	out := &csi.Volume{VolumeId: v.ID.String(), CapacityBytes: v.Capacity}
	switch {
	case v.Source.IsVolume():
		out.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
			Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: v.Source.Volume.String()},
		}}
	case v.Source.IsSnapshot():
		out.ContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: v.Source.Snapshot.String()},
		}}
	}
	return out
}

// DeleteVolume removes a volume (CSI spec, DeleteVolume). One that this driver
// did not make is not there: success.
func (c *Controller) DeleteVolume(ctx context.Context, r *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return &csi.DeleteVolumeResponse{}, unlessAbsent(err)
	}
	be, at, err := c.release(id)
	if err != nil {
		return &csi.DeleteVolumeResponse{}, unlessAbsent(err)
	}
	err = c.busy.do(ctx, id.String(), func(ctx context.Context) error {
		return be.Delete(ctx, at, id)
	})
	return &csi.DeleteVolumeResponse{}, err
}

// unlessAbsent makes success of ErrNotFound, for verbs that remove.
func unlessAbsent(err error) error {
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	return err
}

// ControllerGetVolume returns a volume (CSI spec, ControllerGetVolume).
func (c *Controller) ControllerGetVolume(ctx context.Context, r *csi.ControllerGetVolumeRequest) (*csi.ControllerGetVolumeResponse, error) {
	v, err := c.get(ctx, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeResponse{Volume: answer(v), Status: &csi.ControllerGetVolumeResponse_VolumeStatus{}}, nil
}

// ControllerGetVolumeHealth tells whether a volume's record can be read (CSI
// spec, ControllerGetVolumeHealth). An outage is the call's error, not the
// volume's health.
func (c *Controller) ControllerGetVolumeHealth(ctx context.Context, r *csi.ControllerGetVolumeHealthRequest) (*csi.ControllerGetVolumeHealthResponse, error) {
	v, err := c.get(ctx, r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	return &csi.ControllerGetVolumeHealthResponse{VolumeHealth: &csi.VolumeHealth{VolumeId: v.ID.String()}}, nil
}

func (c *Controller) get(ctx context.Context, text string) (volume.Volume, error) {
	id, err := volume.ParseID(text)
	if err != nil {
		return volume.Volume{}, err
	}
	be, at, err := c.open(id)
	if err != nil {
		return volume.Volume{}, err
	}
	return be.Get(ctx, at, id)
}

// ControllerExpandVolume makes a volume larger (CSI spec,
// ControllerExpandVolume). The node has to grow the file system after it.
func (c *Controller) ControllerExpandVolume(ctx context.Context, r *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	size, err := parseExpansion(r.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	if r.GetVolumeCapability() != nil {
		if _, err := parseCapability(r.GetVolumeCapability()); err != nil {
			return nil, err
		}
	}
	be, at, err := c.open(id)
	if err != nil {
		return nil, err
	}
	v, err := call(ctx, c.busy, id.String(), func(ctx context.Context) (volume.Volume, error) {
		return be.Expand(ctx, at, id, size)
	})
	if err != nil {
		return nil, err
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Capacity, NodeExpansionRequired: !v.ReadOnly}, nil
}

func parseExpansion(r *csi.CapacityRange) (volume.Size, error) {
	size, err := parseSize(r)
	if err == nil && size == (volume.Size{}) {
		err = fmt.Errorf("the capacity range is missing: name the size to expand to: %w", volume.ErrInvalid)
	}
	return size, err
}

// ValidateVolumeCapabilities says whether a volume can be used as asked (CSI
// spec, ValidateVolumeCapabilities).
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
	if _, err := parseParameters(r.GetParameters()); err != nil {
		return err
	}
	switch {
	case use.block != v.Block:
		return fmt.Errorf("volume %s: block is %t: %w", v.ID, v.Block, volume.ErrInvalid)
	case v.ReadOnly && !use.readOnly:
		return fmt.Errorf("volume %s is read-only: %w", v.ID, volume.ErrInvalid)
	case use.fsType != "" && use.fsType != v.FsType:
		return fmt.Errorf("volume %s has an %s file system: %w", v.ID, v.FsType, volume.ErrInvalid)
	}
	return nil
}

// GetCapacity returns what the tenant, or without a namespace the pool, can
// still store (CSI spec, GetCapacity).
func (c *Controller) GetCapacity(ctx context.Context, r *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	if len(r.GetVolumeCapabilities()) > 0 {
		if _, err := parseCapabilities(r.GetVolumeCapabilities()); err != nil {
			// Nothing of that kind can be made here: that is an answer.
			return &csi.GetCapacityResponse{}, nil
		}
	}
	params, err := parseParameters(r.GetParameters())
	if err != nil {
		return nil, err
	}
	at, err := c.pool(params)
	if err != nil {
		return nil, err
	}
	be, err := c.backend(params.backend)
	if err != nil {
		return nil, err
	}
	free, err := be.Free(ctx, at)
	return &csi.GetCapacityResponse{AvailableCapacity: free}, err
}

func (c *Controller) pool(params parameters) (tenant.Place, error) {
	if params.namespace == "" && c.fallback == "" {
		return c.policy().Pool(params.cluster)
	}
	return c.place(c.policy(), params.namespace, params.cluster)
}
