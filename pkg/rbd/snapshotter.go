package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateSnapshot takes a snapshot in place, in the volume's own image: no
// clone, no copy, and no chain that grows. It returns the snapshot that is
// there already, whatever its source: the caller compares.
func (p *Provisioner) CreateSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, name string, source volume.ID) (volume.Snapshot, error) {
	rec, err := p.readSnapshot(ctx, at, id)
	there, err := rec.Stands(err, func() error { return p.removeSnapshot(ctx, at, id, &rec) })
	if err != nil {
		return volume.Snapshot{}, err
	}
	if there {
		return rec.snapshot(id)
	}
	src, err := p.readyVolume(ctx, at, source)
	if err != nil {
		return volume.Snapshot{}, err
	}
	rec = snapshotRecord{Snapshot: record.NewSnapshot(name, source), ImageID: src.ImageID, Block: src.Block, FsType: src.FsType}
	if err := p.takeSnapshot(ctx, at, id, source, &rec); err != nil {
		return volume.Snapshot{}, err
	}
	return rec.snapshot(id)
}

func (p *Provisioner) takeSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, source volume.ID, rec *snapshotRecord) error {
	if err := p.book.Add(ctx, at, snapshotPrefix+id.Hash, rec); err != nil {
		return err
	}
	err := p.sealSnapshot(ctx, at, id, source, rec)
	if err == nil || volume.IsOpen(err) {
		return err
	}
	return volume.Undone(err, p.removeSnapshot(context.WithoutCancel(ctx), at, id, rec))
}

func (p *Provisioner) sealSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, source volume.ID, rec *snapshotRecord) error {
	image, name := volumePrefix+source.Hash, snapshotPrefix+id.Hash
	err := p.anew(ctx, at, name, rec,
		func() error { return p.cluster.CreateSnapshot(ctx, at, image, name) },
		func() error { return p.cluster.RemoveSnapshot(ctx, at, image, name) })
	if err != nil {
		return err
	}
	info, err := p.cluster.Snapshot(ctx, at, image, name)
	if err != nil {
		return err
	}
	if err := p.checkImage(ctx, at, parentRecord{Volume: source.Hash, ImageID: rec.ImageID}, name); err != nil {
		return err
	}
	rec.State, rec.Size, rec.Created = record.Ready, info.Size, info.Created
	return p.book.Advance(ctx, at, name, rec)
}

// checkImage removes a snapshot that was taken of another image than was
// meant: of one that has the volume's name after it was deleted and made again.
func (p *Provisioner) checkImage(ctx context.Context, at tenant.Place, of parentRecord, snapshot string) error {
	image := volumePrefix + of.Volume
	id, err := p.cluster.ImageID(ctx, at, image)
	if err != nil || id == of.ImageID {
		return err
	}
	if err := p.cluster.RemoveSnapshot(ctx, at, image, snapshot); err != nil {
		return err
	}
	return fmt.Errorf("the volume of image %s was deleted meanwhile: %w", of.ImageID, volume.ErrNotFound)
}

// DeleteSnapshot removes a snapshot, also one with clones: they go on
// reading. Its image goes too if the volume is deleted and nothing else
// needs it.
func (p *Provisioner) DeleteSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) error {
	rec, err := p.readSnapshot(ctx, at, id)
	if errors.Is(err, volume.ErrNotFound) {
		return p.forgetSnapshot(ctx, at, id)
	}
	if err != nil {
		return err
	}
	return p.removeSnapshot(ctx, at, id, &rec)
}

// forgetSnapshot removes the index entry that can be left of a snapshot, under
// a record as forget does.
func (p *Provisioner) forgetSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) error {
	name := snapshotPrefix + id.Hash
	rec := snapshotRecord{Snapshot: record.Snapshot{Progress: record.Begin(record.Deleting)}}
	if err := p.book.Add(ctx, at, name, &rec); err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, &rec)
}

func (p *Provisioner) removeSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, rec *snapshotRecord) error {
	name := snapshotPrefix + id.Hash
	if err := p.book.Claim(ctx, at, name, rec); err != nil {
		return err
	}
	if rec.Source != "" { // else it is one of forgetSnapshot
		if err := p.removeFromImage(ctx, at, id, rec); err != nil {
			return err
		}
	}
	return p.book.Drop(ctx, at, name, rec)
}

// removeFromImage removes the snapshot from the volume's image, and that too
// if the volume is deleted and nothing else needs it.
func (p *Provisioner) removeFromImage(ctx context.Context, at tenant.Place, id volume.SnapshotID, rec *snapshotRecord) error {
	source, err := rec.Of(id)
	if err != nil {
		return err
	}
	of := parentRecord{Volume: source.Hash, ImageID: rec.ImageID}
	if err := p.dropSnapshot(ctx, at, of, snapshotPrefix+id.Hash); err != nil {
		return err
	}
	return p.sweep(ctx, at, of.ImageID, of.Volume)
}

// GetSnapshot returns a finished snapshot.
func (p *Provisioner) GetSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (volume.Snapshot, error) {
	rec, err := p.readySnapshot(ctx, at, id)
	if err != nil {
		return volume.Snapshot{}, err
	}
	return rec.snapshot(id)
}
