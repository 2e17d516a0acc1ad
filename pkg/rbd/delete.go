package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Delete removes the volume. Where snapshots or clones still need its image,
// the image gets the name del.<image id> and goes with the last of them.
func (p *Provisioner) Delete(ctx context.Context, at tenant.Place, id volume.ID) error {
	rec, err := p.readVolume(ctx, at, id)
	if errors.Is(err, volume.ErrNotFound) {
		return p.forget(ctx, at, id)
	}
	if err != nil {
		return err
	}
	return p.remove(ctx, at, id, &rec)
}

// forget removes what can be left of a volume without a record: an image that
// a call made after it had been given up, the share that another controller
// took then, and the index entry. It has a record for that time, which keeps
// other controllers from making the volume.
func (p *Provisioner) forget(ctx context.Context, at tenant.Place, id volume.ID) error {
	name := volumePrefix + id.Hash
	rec := volumeRecord{Volume: record.Volume{Progress: record.Begin(record.Deleting)}}
	if err := p.book.Add(ctx, at, name, &rec); err != nil {
		return err
	}
	if err := p.cluster.RemoveImage(ctx, at, name); err != nil {
		return err
	}
	if err := p.releaseLeft(ctx, at, name); err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, &rec)
}

// releaseLeft gives a share back where there is one: Release itself would
// write to the quota for every ID that names nothing.
func (p *Provisioner) releaseLeft(ctx context.Context, at tenant.Place, name string) error {
	left, err := p.cluster.HasShare(ctx, at, name)
	if err != nil || !left {
		return err
	}
	return p.cluster.Release(ctx, at, name)
}

// remove takes a volume apart, from whatever state its record is in. The
// record says `deleting` first and goes last, so an interrupted removal is
// finished by whoever finds it.
func (p *Provisioner) remove(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) error {
	name := volumePrefix + id.Hash
	interrupted := rec.State == record.Deleting
	if err := p.book.Claim(ctx, at, name, rec); err != nil {
		return err
	}
	aside, err := p.removeImage(ctx, at, id, rec)
	if err != nil {
		return err
	}
	if (aside || interrupted) && rec.ImageID != "" {
		// What needed the image may have gone while it got its new name.
		if err := p.sweep(ctx, at, rec.ImageID, id.Hash); err != nil {
			return err
		}
	}
	if err := p.releaseParent(ctx, at, id, rec.Parent); err != nil {
		return err
	}
	if err := p.cluster.Release(ctx, at, name); err != nil {
		return err
	}
	return p.book.Drop(ctx, at, name, rec)
}

func (p *Provisioner) removeImage(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) (aside bool, err error) {
	err = p.cluster.RemoveImage(ctx, at, volumePrefix+id.Hash)
	if !errors.Is(err, volume.ErrHasSnapshots) {
		return false, err
	}
	if err := p.setAside(ctx, at, id, rec); err != nil {
		return false, fmt.Errorf("set aside an image that snapshots or clones need: %w", err)
	}
	return true, nil
}

// setAside renames an image that others need, after recording what it hangs
// on, which nothing else will know when the volume's record has gone.
func (p *Provisioner) setAside(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) (err error) {
	name := volumePrefix + id.Hash
	if rec.ImageID, err = p.cluster.ImageID(ctx, at, name); err != nil {
		return err
	}
	aside := deletedPrefix + rec.ImageID
	del := deletedRecord{Head: record.NewHead(), ImageID: rec.ImageID, Volume: id.Hash, Parent: rec.Parent}
	if err := p.book.Note(ctx, at, aside, &del); err != nil && !errors.Is(err, volume.ErrExists) {
		return err
	}
	return p.cluster.RenameImage(ctx, at, name, aside)
}

// releaseParent removes the snapshot that a copy was made from, where a crash
// left it, and the parent, where it was only kept for this clone.
func (p *Provisioner) releaseParent(ctx context.Context, at tenant.Place, id volume.ID, parent parentRecord) error {
	if parent.Volume == "" {
		return nil
	}
	if parent.Snapshot == copyPrefix+id.Hash {
		if err := p.dropSnapshot(ctx, at, parent, parent.Snapshot); err != nil {
			return err
		}
	}
	return p.sweep(ctx, at, parent.ImageID, parent.Volume)
}

// dropSnapshot removes a snapshot of an image that may be set aside meanwhile,
// where an absent snapshot under the old name says nothing.
func (p *Provisioner) dropSnapshot(ctx context.Context, at tenant.Place, of parentRecord, snapshot string) error {
	before, err := p.image(ctx, at, of)
	if err != nil {
		return err
	}
	if err := p.cluster.RemoveSnapshot(ctx, at, before, snapshot); err != nil || before == deletedPrefix+of.ImageID {
		return err
	}
	after, err := p.image(ctx, at, of)
	if err != nil || after == before {
		return err
	}
	return p.cluster.RemoveSnapshot(ctx, at, after, snapshot)
}

// sweep removes an image that was set aside, of the volume with the hash, if
// nothing needs it any more, and then, the same way, what it hung on. An image
// that was not set aside, or that is still needed, is left alone. Its record
// goes last: an interrupted sweep is finished by whoever sweeps again.
func (p *Provisioner) sweep(ctx context.Context, at tenant.Place, imageID, hash string) error {
	var rec deletedRecord
	err := p.book.Read(ctx, at, deletedPrefix+imageID, &rec)
	if errors.Is(err, volume.ErrNotFound) {
		return p.unlist(ctx, at, imageID, hash)
	}
	if err != nil {
		return err
	}
	gone, err := p.sweepImage(ctx, at, rec)
	if err != nil || !gone {
		return err
	}
	if rec.Parent.Volume != "" {
		if err := p.sweep(ctx, at, rec.Parent.ImageID, rec.Parent.Volume); err != nil {
			return err
		}
	}
	return p.cluster.RemoveRecord(ctx, at, deletedPrefix+imageID)
}

// unlist removes the index entry that an interrupted sweep left. An image
// that has its volume's name still may be about to be set aside, and then the
// entry is the first sign of its record.
func (p *Provisioner) unlist(ctx context.Context, at tenant.Place, imageID, hash string) error {
	id, err := p.cluster.ImageID(ctx, at, volumePrefix+hash)
	if err == nil && id == imageID {
		return nil
	}
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return p.cluster.RemoveRecord(ctx, at, deletedPrefix+imageID)
}

// sweepImage leaves an image that has its volume's name still: whoever is
// about to rename it sweeps afterwards. A rename goes one way only, so after
// this look the image is set aside or gone.
func (p *Provisioner) sweepImage(ctx context.Context, at tenant.Place, rec deletedRecord) (gone bool, err error) {
	id, err := p.cluster.ImageID(ctx, at, volumePrefix+rec.Volume)
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return false, err
	}
	if id == rec.ImageID {
		return false, nil
	}
	err = p.cluster.RemoveImage(ctx, at, deletedPrefix+rec.ImageID)
	if errors.Is(err, volume.ErrHasSnapshots) || errors.Is(err, volume.ErrInUse) {
		return false, nil
	}
	return err == nil, err
}

// sweepPage is how many names a sweep reads at once.
const sweepPage = 256

// Sweep removes what crashes left of set-aside images of a place. It is for
// the start of a controller, beside its requests.
func (p *Provisioner) Sweep(ctx context.Context, at tenant.Place) error {
	var failed error
	after := deletedPrefix
	for {
		names, err := p.cluster.ListRecords(ctx, at, deletedPrefix, after, sweepPage)
		if err != nil {
			return fmt.Errorf("sweep %s: %w", at, errors.Join(failed, err))
		}
		for _, name := range names {
			// One that cannot be swept does not keep the others.
			failed = errors.Join(failed, p.sweepNamed(ctx, at, name))
			if volume.IsOpen(failed) {
				return fmt.Errorf("sweep %s: %w", at, failed)
			}
		}
		if len(names) < sweepPage {
			return failed
		}
		after = names[len(names)-1]
	}
}

// sweepNamed sweeps by an entry of the index. Without a record there is
// nothing to know about the image.
func (p *Provisioner) sweepNamed(ctx context.Context, at tenant.Place, name string) error {
	var rec deletedRecord
	err := p.book.Read(ctx, at, name, &rec)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.sweep(ctx, at, rec.ImageID, rec.Volume)
}
