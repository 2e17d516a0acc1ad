package cephfs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Delete removes the volume. Where snapshots still need its subvolume, that
// goes with the last of them. A copy into the volume is ended first.
func (p *Provisioner) Delete(ctx context.Context, at tenant.Place, id volume.ID) error {
	if err := p.copies.end(ctx, id); err != nil {
		return err
	}
	rec, err := p.readVolume(ctx, at, id)
	if errors.Is(err, volume.ErrNotFound) {
		return p.forget(ctx, at, volumePrefix+id.Hash, &volumeRecord{Volume: record.Volume{Progress: record.Begin(record.Deleting)}})
	}
	if err != nil {
		return err
	}
	return p.remove(ctx, at, id, &rec)
}

// forget removes what can be left of what has no record: the index entry, and
// the share that another controller took. It has a record for that time, which
// keeps other controllers from making it.
func (p *Provisioner) forget(ctx context.Context, at tenant.Place, name string, rec record.Advancing) error {
	if err := p.book.Add(ctx, at, name, rec); err != nil {
		return err
	}
	left, err := p.cluster.HasShare(ctx, at, sharePrefix+name)
	if err == nil && left {
		err = p.cluster.Release(ctx, at, sharePrefix+name)
	}
	if err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, rec)
}

// remove takes a volume apart, from whatever state its record is in. The
// record says `deleting` first and goes last, so an interrupted removal is
// finished by whoever finds it.
func (p *Provisioner) remove(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) error {
	name := volumePrefix + id.Hash
	if err := p.book.Claim(ctx, at, name, rec); err != nil {
		return err
	}
	if rec.Subvolume != "" {
		if err := p.removeSubvolume(ctx, at, rec.Subvolume); err != nil {
			return err
		}
	}
	if !rec.Parent.isZero() {
		if err := p.release(ctx, at, user(id), rec.Parent); err != nil {
			return err
		}
	}
	if err := p.cluster.Release(ctx, at, sharePrefix+name); err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, rec)
}

// removeSubvolume removes the writer and the subvolume, or remembers one that
// snapshots need. After that it looks again: the last one may have gone
// meanwhile.
func (p *Provisioner) removeSubvolume(ctx context.Context, at tenant.Place, subvolume string) error {
	if err := p.cluster.RemoveWriter(ctx, at, subvolume); err != nil {
		return err
	}
	err := p.cluster.RemoveSubvolume(ctx, at, subvolume)
	if !errors.Is(err, volume.ErrHasSnapshots) {
		if err != nil {
			return err
		}
		return p.cluster.RemoveRecord(ctx, at, deletedPrefix+subvolume)
	}
	del := deletedRecord{Head: record.NewHead(), Subvolume: subvolume}
	if err := p.book.Note(ctx, at, deletedPrefix+subvolume, &del); err != nil && !errors.Is(err, volume.ErrExists) {
		return err
	}
	return p.sweep(ctx, at, subvolume)
}

// release gives up a reference, and removes a snapshot that was only taken for
// volumes when it was the last.
func (p *Provisioner) release(ctx context.Context, at tenant.Place, user string, parent parentRecord) error {
	if err := p.cluster.RemoveReference(ctx, at, parent.Snapshot, user); err != nil {
		return err
	}
	if !parent.isCopy() || parent.Tenant != at.Tenant() {
		return nil
	}
	err := p.cluster.RemoveSnapshot(ctx, at, parent.Subvolume, parent.Name)
	if errors.Is(err, volume.ErrInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.sweep(ctx, at, parent.Subvolume)
}

// sweep removes a subvolume whose volume is deleted if no snapshot needs it
// any more. Its record goes last.
func (p *Provisioner) sweep(ctx context.Context, at tenant.Place, subvolume string) error {
	name := deletedPrefix + subvolume
	_, err := p.cluster.ReadRecord(ctx, at, name)
	if errors.Is(err, volume.ErrNotFound) {
		// Its volume is there, or an interrupted sweep left an index entry.
		return p.sweepNamed(ctx, at, subvolume)
	}
	if err != nil {
		return err
	}
	err = p.cluster.RemoveSubvolume(ctx, at, subvolume)
	if errors.Is(err, volume.ErrHasSnapshots) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.cluster.RemoveRecord(ctx, at, name)
}

// Sweep removes what crashes left in a place: subvolumes of volumes that are
// no more, made by calls that nobody waited for. It is for the start of a
// controller, beside its requests.
func (p *Provisioner) Sweep(ctx context.Context, at tenant.Place) error {
	names, err := p.cluster.ListSubvolumes(ctx, at)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", at, err)
	}
	var failed error
	for _, name := range names {
		// One that cannot be swept does not keep the others.
		failed = errors.Join(failed, p.sweepNamed(ctx, at, name))
		if volume.IsOpen(failed) {
			break
		}
	}
	return failed
}

// sweepNamed leaves alone what a record tells of. The record is written before
// the subvolume is made, so a subvolume that was listed had one.
func (p *Provisioner) sweepNamed(ctx context.Context, at tenant.Place, subvolume string) error {
	rest, ours := strings.CutPrefix(subvolume, volumePrefix)
	hash, _, ok := strings.Cut(rest, ".")
	if !ours || !ok || !isSubvolumeOf(subvolume, hash) {
		return nil
	}
	var rec volumeRecord
	err := p.book.Read(ctx, at, volumePrefix+hash, &rec)
	if err == nil && rec.Subvolume == subvolume {
		return nil
	}
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return p.removeSubvolume(ctx, at, subvolume)
}
