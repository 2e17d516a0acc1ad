package rbd

import (
	"context"
	"errors"
	"fmt"

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
// a call made after it had been given up, and the index entry.
func (p *Provisioner) forget(ctx context.Context, at tenant.Place, id volume.ID) error {
	name := volumePrefix + id.Hash
	_, err := p.cluster.ImageID(ctx, at, name)
	if err == nil {
		err = p.cluster.RemoveImage(ctx, at, name)
	}
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	return p.cluster.RemoveRecord(ctx, at, name)
}

// remove takes a volume apart, from whatever state its record is in. The
// record says `deleting` first and goes last, so an interrupted removal is
// finished by whoever finds it.
func (p *Provisioner) remove(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) error {
	name := volumePrefix + id.Hash
	if err := p.claim(ctx, at, name, rec); err != nil {
		return err
	}
	if err := p.removeImage(ctx, at, id, rec); err != nil {
		return err
	}
	// A removal that was interrupted may have set the image aside.
	if err := p.sweep(ctx, at, rec.ImageID); err != nil {
		return err
	}
	if err := p.releaseParent(ctx, at, id, rec.Parent); err != nil {
		return err
	}
	return p.cluster.RemoveRecord(ctx, at, name)
}

func (p *Provisioner) removeImage(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) error {
	err := p.cluster.RemoveImage(ctx, at, volumePrefix+id.Hash)
	if !errors.Is(err, volume.ErrHasSnapshots) {
		return err
	}
	if err := p.setAside(ctx, at, id, rec); err != nil {
		return fmt.Errorf("set aside an image that snapshots or clones need: %w", err)
	}
	return nil
}

// setAside renames an image that others need, after recording what it hangs
// on, which nothing else will know when the volume's record has gone.
func (p *Provisioner) setAside(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) (err error) {
	name := volumePrefix + id.Hash
	if rec.ImageID, err = p.cluster.ImageID(ctx, at, name); err != nil {
		return err
	}
	aside := deletedPrefix + rec.ImageID
	del := deletedRecord{Version: recordVersion, ImageID: rec.ImageID, Volume: id.Hash, Parent: rec.Parent}
	if err := p.createRecord(ctx, at, aside, del); err != nil && !errors.Is(err, volume.ErrExists) {
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
	return p.sweep(ctx, at, parent.ImageID)
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

// sweep removes an image that was set aside if nothing needs it any more, and
// then, the same way, what it hung on. An image that was not set aside, or
// that is still needed, is left alone.
func (p *Provisioner) sweep(ctx context.Context, at tenant.Place, imageID string) error {
	for imageID != "" {
		var rec deletedRecord
		err := p.readRecord(ctx, at, deletedPrefix+imageID, &rec)
		if errors.Is(err, volume.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		gone, err := p.sweepImage(ctx, at, rec)
		if err != nil || !gone {
			return err
		}
		imageID = ""
		if rec.Parent.Volume != "" {
			imageID = rec.Parent.ImageID
		}
	}
	return nil
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
	name := deletedPrefix + rec.ImageID
	err = p.cluster.RemoveImage(ctx, at, name)
	if errors.Is(err, volume.ErrHasSnapshots) || errors.Is(err, volume.ErrInUse) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, p.cluster.RemoveRecord(ctx, at, name)
}

// sweepPage is how many names a sweep reads at once.
const sweepPage = 256

// Sweep removes what crashes left of set-aside images of a place. It is for
// the start of a controller, beside its requests.
func (p *Provisioner) Sweep(ctx context.Context, at tenant.Place) error {
	after := deletedPrefix
	for {
		names, err := p.cluster.ListRecords(ctx, at, deletedPrefix, after, sweepPage)
		if err != nil {
			return fmt.Errorf("sweep %s: %w", at, err)
		}
		for _, name := range names {
			if err := p.sweep(ctx, at, name[len(deletedPrefix):]); err != nil {
				return fmt.Errorf("sweep %s: %w", at, err)
			}
		}
		if len(names) < sweepPage {
			return nil
		}
		after = names[len(names)-1]
	}
}
