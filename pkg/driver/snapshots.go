package driver

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateSnapshot takes a snapshot of a volume (CSI spec, CreateSnapshot).
func (c *Controller) CreateSnapshot(ctx context.Context, r *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	name, source, err := parseSnapshot(r)
	if err != nil {
		return nil, err
	}
	be, at, err := c.open(source)
	if err != nil {
		return nil, err
	}
	id := at.SnapshotID(source.Backend, name)
	s, err := call(ctx, c.busy, id.String(), func(ctx context.Context) (volume.Snapshot, error) {
		return be.CreateSnapshot(ctx, at, id, name, source)
	})
	if err != nil {
		return nil, err
	}
	if s.Source != source {
		return nil, fmt.Errorf("snapshot %s is one of volume %s, not of %s: %w", id, s.Source, source, volume.ErrConflict)
	}
	return &csi.CreateSnapshotResponse{Snapshot: answerSnapshot(s)}, nil
}

// parseSnapshot reads a CreateSnapshot request. It is pure.
func parseSnapshot(r *csi.CreateSnapshotRequest) (name string, source volume.ID, err error) {
	if name, err = parseName("snapshot", r.GetName()); err != nil {
		return name, source, err
	}
	if err := checkSnapshotParameters(r.GetParameters()); err != nil {
		return name, source, err
	}
	if err := refuseTopology(r.GetAccessibilityRequirements()); err != nil {
		return name, source, err
	}
	source, err = volume.ParseID(r.GetSourceVolumeId())
	return name, source, err
}

func checkSnapshotParameters(m map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !hasKubernetesPrefix(key) {
			return fmt.Errorf("parameter %.64q is not known: a VolumeSnapshotClass of this driver has none: %w", key, volume.ErrInvalid)
		}
	}
	return checkMap("parameters", m)
}

func answerSnapshot(s volume.Snapshot) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: s.ID.String(), SourceVolumeId: s.Source.String(), SizeBytes: s.Size,
		CreationTime: timestamppb.New(s.Created), ReadyToUse: true,
	}
}

// DeleteSnapshot removes a snapshot (CSI spec, DeleteSnapshot). One that this
// driver did not make is not there: success.
func (c *Controller) DeleteSnapshot(ctx context.Context, r *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	id, err := volume.ParseSnapshotID(r.GetSnapshotId())
	if err != nil {
		return &csi.DeleteSnapshotResponse{}, unlessAbsent(err)
	}
	be, at, err := c.release(volume.ID(id))
	if err != nil {
		return nil, err
	}
	err = c.busy.do(ctx, id.String(), func(ctx context.Context) error {
		return be.DeleteSnapshot(ctx, at, id)
	})
	return &csi.DeleteSnapshotResponse{}, err
}

// GetSnapshot returns a snapshot (CSI spec, GetSnapshot).
func (c *Controller) GetSnapshot(ctx context.Context, r *csi.GetSnapshotRequest) (*csi.GetSnapshotResponse, error) {
	s, err := c.getSnapshot(ctx, r.GetSnapshotId())
	if err != nil {
		return nil, err
	}
	return &csi.GetSnapshotResponse{Snapshot: answerSnapshot(s)}, nil
}

func (c *Controller) getSnapshot(ctx context.Context, text string) (volume.Snapshot, error) {
	id, err := volume.ParseSnapshotID(text)
	if err != nil {
		return volume.Snapshot{}, err
	}
	be, at, err := c.open(volume.ID(id))
	if err != nil {
		return volume.Snapshot{}, err
	}
	return be.GetSnapshot(ctx, at, id)
}
