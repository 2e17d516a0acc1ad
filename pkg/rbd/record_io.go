package rbd

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func (p *Provisioner) readVolume(ctx context.Context, at tenant.Place, id volume.ID) (rec volumeRecord, err error) {
	err = p.book.Read(ctx, at, volumePrefix+id.Hash, &rec)
	return rec, err
}

// readyVolume returns the record of a finished volume.
func (p *Provisioner) readyVolume(ctx context.Context, at tenant.Place, id volume.ID) (volumeRecord, error) {
	rec, err := p.readVolume(ctx, at, id)
	return rec, rec.Require("volume "+id.String(), err)
}

func (p *Provisioner) readSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (rec snapshotRecord, err error) {
	err = p.book.Read(ctx, at, snapshotPrefix+id.Hash, &rec)
	return rec, err
}

// readySnapshot is readyVolume for snapshots.
func (p *Provisioner) readySnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (snapshotRecord, error) {
	rec, err := p.readSnapshot(ctx, at, id)
	return rec, rec.Require("snapshot "+id.String(), err)
}
