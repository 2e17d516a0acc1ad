package cephfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateSnapshot takes a snapshot of a writable volume in place; of a
// read-only one it is another reference to what that shows. It returns the
// snapshot that is there already, whatever its source: the caller compares.
func (p *Provisioner) CreateSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, name string, source volume.ID) (volume.Snapshot, error) {
	rec, err := p.readSnapshot(ctx, at, id)
	there, err := rec.Stands(err, func() error { return p.removeSnapshot(ctx, at, id, &rec) })
	if err != nil {
		return volume.Snapshot{}, err
	}
	if there {
		return rec.snapshot(id)
	}
	parent, err := p.volumeParent(ctx, at, source)
	if err != nil {
		return volume.Snapshot{}, err
	}
	rec = snapshotRecord{Snapshot: record.NewSnapshot(name, source), Parent: parent}
	if parent.Name == "" {
		// A removal that was given up, and comes late, does not find it.
		rec.Parent.Name = snapshotPrefix + id.Hash + "." + rec.Attempt
	}
	rec.Created = p.now().UTC().Truncate(time.Second)
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
	if err != nil && !volume.IsOpen(err) {
		err = volume.Undone(err, p.removeSnapshot(context.WithoutCancel(ctx), at, id, rec))
	}
	if errors.Is(err, volume.ErrPending) && !rec.isReference() {
		// The one that took over has a snapshot of another name.
		err = volume.Undone(err, p.dropSnapshot(context.WithoutCancel(ctx), at, rec.Parent))
	}
	return err
}

// dropSnapshot removes a snapshot, and its subvolume where only that needed it.
func (p *Provisioner) dropSnapshot(ctx context.Context, at tenant.Place, of parentRecord) error {
	if err := p.cluster.RemoveSnapshot(ctx, at, of.Subvolume, of.Name); err != nil {
		return err
	}
	return p.sweep(ctx, at, of.Subvolume)
}

func (p *Provisioner) sealSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, source volume.ID, rec *snapshotRecord) (err error) {
	if rec.isReference() {
		err = p.cluster.AddReference(ctx, at, rec.Parent.Snapshot, snapshotUser(id))
		if err == nil {
			_, err = p.volumeParent(ctx, at, source)
		}
	} else {
		err = p.cluster.CreateSnapshot(ctx, at, rec.Parent.Subvolume, rec.Parent.Name)
	}
	if err != nil {
		return fmt.Errorf("snapshot of volume %s: %w", source, err)
	}
	rec.State = record.Ready
	return p.book.Advance(ctx, at, snapshotPrefix+id.Hash, rec)
}

// DeleteSnapshot removes a snapshot. While volumes show it, or are being
// copied from it, it wraps volume.ErrInUse.
func (p *Provisioner) DeleteSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) error {
	rec, err := p.readSnapshot(ctx, at, id)
	if errors.Is(err, volume.ErrNotFound) {
		return p.forget(ctx, at, snapshotPrefix+id.Hash, &snapshotRecord{Snapshot: record.Snapshot{Progress: record.Begin(record.Deleting)}})
	}
	if err != nil {
		return err
	}
	return p.removeSnapshot(ctx, at, id, &rec)
}

// removeSnapshot closes the references first: a snapshot that is in use stays
// as it is. They are closed until the record says that it is going, so whoever
// looks at the source after adding a reference sees one or the other.
func (p *Provisioner) removeSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID, rec *snapshotRecord) error {
	name := snapshotPrefix + id.Hash
	if rec.isReference() {
		if err := p.book.Claim(ctx, at, name, rec); err != nil {
			return err
		}
		if !rec.Parent.isZero() {
			if err := p.release(ctx, at, snapshotUser(id), rec.Parent); err != nil {
				return err
			}
		}
		return p.book.Drop(ctx, at, name, rec)
	}
	if err := p.cluster.CloseReferences(ctx, at, rec.Parent.Snapshot); err != nil {
		return err
	}
	if err := p.book.Claim(ctx, at, name, rec); err != nil {
		if errors.Is(err, volume.ErrPending) {
			// The other controller may have forgotten the references before we
			// closed them: what is closed has to go.
			err = volume.Undone(err, p.cluster.RemoveSnapshot(context.WithoutCancel(ctx), at, rec.Parent.Subvolume, rec.Parent.Name))
		}
		return err
	}
	if err := p.dropSnapshot(ctx, at, rec.Parent); err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, rec)
}

// GetSnapshot returns a finished snapshot.
func (p *Provisioner) GetSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (volume.Snapshot, error) {
	rec, err := p.readySnapshot(ctx, at, id)
	if err != nil {
		return volume.Snapshot{}, err
	}
	return rec.snapshot(id)
}
