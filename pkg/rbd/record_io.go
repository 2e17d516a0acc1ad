package rbd

import (
	"context"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func (p *Provisioner) createRecord(ctx context.Context, at tenant.Place, name string, record any) error {
	data, err := encode(record)
	if err != nil {
		return err
	}
	return p.cluster.CreateRecord(ctx, at, name, data)
}

func (p *Provisioner) readRecord(ctx context.Context, at tenant.Place, name string, record any) error {
	data, err := p.cluster.ReadRecord(ctx, at, name)
	if err != nil {
		return err
	}
	if err := decode(name, data, record); err != nil {
		return err
	}
	if rec, ok := record.(advancing); ok {
		rec.self().seen = data
	}
	return nil
}

func (p *Provisioner) readVolume(ctx context.Context, at tenant.Place, id volume.ID) (rec volumeRecord, err error) {
	err = p.readRecord(ctx, at, volumePrefix+id.Hash, &rec)
	return rec, err
}

// readyVolume returns the record of a finished volume. An unfinished one is
// not there as yet, and one that is being deleted no more.
func (p *Provisioner) readyVolume(ctx context.Context, at tenant.Place, id volume.ID) (volumeRecord, error) {
	rec, err := p.readVolume(ctx, at, id)
	if err != nil {
		return volumeRecord{}, fmt.Errorf("volume %s: %w", id, err)
	}
	if rec.State != ready {
		return volumeRecord{}, fmt.Errorf("volume %s is in state %s: %w", id, rec.State, volume.ErrNotFound)
	}
	return rec, nil
}

func (p *Provisioner) readSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (rec snapshotRecord, err error) {
	err = p.readRecord(ctx, at, snapshotPrefix+id.Hash, &rec)
	return rec, err
}

// readySnapshot is readyVolume for snapshots.
func (p *Provisioner) readySnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (snapshotRecord, error) {
	rec, err := p.readSnapshot(ctx, at, id)
	if err != nil {
		return snapshotRecord{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	if rec.State != ready {
		return snapshotRecord{}, fmt.Errorf("snapshot %s is in state %s: %w", id, rec.State, volume.ErrNotFound)
	}
	return rec, nil
}
