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
	// An operation goes on without its caller, but it should know of it.
	want.spec.AnswerBy, _ = ctx.Deadline()
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
	if err = checkFileSystem(at, want.backend); err != nil {
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

// checkFileSystem says what to write where the policy's cluster lacks what the
// backend needs.
func checkFileSystem(at tenant.Place, b volume.Backend) error {
	if b != volume.CephFS || at.Cluster().FileSystem != "" {
		return nil
	}
	return fmt.Errorf("cluster %s has no file system in the policy file: write «fileSystem: NAME» in its row, or use backend %s: %w", at.Cluster().ID, volume.RBD, volume.ErrInvalid)
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
		return nil, err
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
