package rbd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Provisioner makes volumes and snapshots of RBD images. It implements
// driver.Provisioner and driver.Snapshotter and keeps no state.
type Provisioner struct {
	cluster Cluster
	goldens Goldens
	now     func() time.Time
}

// NewProvisioner returns a Provisioner on a cluster.
func NewProvisioner(c Cluster, g Goldens) *Provisioner {
	return &Provisioner{cluster: c, goldens: g, now: time.Now}
}

// Create makes the volume of id, or returns the one that is there. The record
// comes first and turns ready last: what a crash leaves in between is undone
// by the next Create or Delete of the same id.
func (p *Provisioner) Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error) {
	rec, err := p.readVolume(ctx, at, id)
	switch {
	case err == nil && rec.State == ready:
		return rec.volume(id)
	case err == nil:
		err = p.remove(ctx, at, id, rec)
	case errors.Is(err, volume.ErrNotFound):
		err = nil
	}
	if err != nil {
		return volume.Volume{}, err
	}
	rec, o, err := p.plan(ctx, at, golden, spec)
	if err != nil {
		return volume.Volume{}, err
	}
	if err := p.build(ctx, at, id, &rec, o); err != nil {
		return volume.Volume{}, err
	}
	return rec.volume(id)
}

// plan settles everything about the new volume and changes nothing.
func (p *Provisioner) plan(ctx context.Context, at, golden tenant.Place, spec volume.Spec) (volumeRecord, origin, error) {
	o, err := p.origin(ctx, at, golden, spec.Source)
	if err != nil {
		return volumeRecord{}, o, err
	}
	fsType, err := o.admit(spec)
	if err != nil {
		return volumeRecord{}, o, err
	}
	capacity, err := spec.Size.Fit(o.parent.Size)
	if err != nil {
		return volumeRecord{}, o, err
	}
	return volumeRecord{
		Version: recordVersion, State: creating, Name: spec.Name, Capacity: capacity,
		ReadOnly: spec.ReadOnly, Block: spec.Block, FsType: fsType, Share: spec.Share,
		Source: newSource(spec.Source), Parent: o.parent, Created: p.now().UTC().Truncate(time.Second),
	}, o, nil
}

// build makes the record and the image. What a failure leaves it removes as
// far as Ceph lets it; the record tells the next call about the rest.
func (p *Provisioner) build(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin) error {
	if o.parent.Volume != "" && o.parent.Snapshot == "" {
		rec.Parent.Snapshot = copyPrefix + id.Hash
	}
	if err := p.createRecord(ctx, at, volumePrefix+id.Hash, rec); err != nil {
		return err
	}
	err := p.fill(ctx, at, id, rec, o)
	if err != nil {
		err = errors.Join(err, p.cleanup(ctx, at, id, *rec))
	}
	return err
}

func (p *Provisioner) fill(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin) error {
	name := volumePrefix + id.Hash
	if err := p.makeImage(ctx, at, id, *rec, o); err != nil {
		return err
	}
	imageID, err := p.cluster.ImageID(ctx, at, name)
	if err != nil {
		return err
	}
	rec.ImageID, rec.State = imageID, ready
	return p.updateRecord(ctx, at, name, rec)
}

func (p *Provisioner) makeImage(ctx context.Context, at tenant.Place, id volume.ID, rec volumeRecord, o origin) error {
	name := volumePrefix + id.Hash
	if o.isBlank() {
		return p.anew(ctx, at, name, func() error { return p.cluster.CreateImage(ctx, at, name, rec.Capacity) })
	}
	clone := func() error { return p.clone(ctx, at, name, rec, o) }
	if err := p.anew(ctx, at, name, clone); err != nil {
		return err
	}
	if rec.ReadOnly || rec.Capacity == o.parent.Size {
		return nil
	}
	return p.cluster.ResizeImage(ctx, at, name, rec.Capacity)
}

// anew runs an exclusive create. The record is ours and new, so an image that
// is there already is a late effect of a call that Ceph never answered.
func (p *Provisioner) anew(ctx context.Context, at tenant.Place, name string, create func() error) error {
	err := create()
	if !errors.Is(err, volume.ErrExists) {
		return err
	}
	if err := p.cluster.RemoveImage(ctx, at, name); err != nil {
		return fmt.Errorf("remove a leftover image: %w", err)
	}
	return create()
}

// clone clones the parent's snapshot, once more where the parent got another
// name meanwhile because its volume was deleted.
func (p *Provisioner) clone(ctx context.Context, at tenant.Place, name string, rec volumeRecord, o origin) error {
	err := p.cloneOnce(ctx, at, name, rec, o)
	if errors.Is(err, volume.ErrNotFound) && o.parent.Volume != "" {
		err = p.cloneOnce(ctx, at, name, rec, o)
	}
	if err != nil {
		return fmt.Errorf("clone %s: %w", o.parent, err)
	}
	return nil
}

// cloneOnce clones a snapshot. A volume that is copied gets one for the time
// of the copy; once removed, Ceph keeps it in the trash for the clone.
func (p *Provisioner) cloneOnce(ctx context.Context, at tenant.Place, name string, rec volumeRecord, o origin) error {
	image, err := p.image(ctx, o.place, o.parent)
	if err != nil {
		return err
	}
	parent := Parent{Place: o.place, Image: image, Snapshot: rec.Parent.Snapshot}
	if o.parent.Snapshot != "" {
		return p.cluster.CloneImage(ctx, parent, at, name)
	}
	if err := p.cluster.CreateSnapshot(ctx, o.place, image, parent.Snapshot); err != nil && !errors.Is(err, volume.ErrExists) {
		return err
	}
	if err := p.cluster.CloneImage(ctx, parent, at, name); err != nil {
		return err
	}
	return p.cluster.RemoveSnapshot(ctx, o.place, image, parent.Snapshot)
}

// cleanup removes what a failed build left, also after the caller has gone.
func (p *Provisioner) cleanup(ctx context.Context, at tenant.Place, id volume.ID, rec volumeRecord) error {
	if err := p.remove(context.WithoutCancel(ctx), at, id, rec); err != nil {
		return fmt.Errorf("clean up, which the next call will finish: %w", err)
	}
	return nil
}

// Get returns a finished volume.
func (p *Provisioner) Get(ctx context.Context, at tenant.Place, id volume.ID) (volume.Volume, error) {
	rec, err := p.readyVolume(ctx, at, id)
	if err != nil {
		return volume.Volume{}, err
	}
	return rec.volume(id)
}

// Expand makes the volume at least as large as asked. A read-only volume has
// the size of what it shows and is not expanded.
func (p *Provisioner) Expand(ctx context.Context, at tenant.Place, id volume.ID, size volume.Size) (volume.Volume, error) {
	rec, err := p.readyVolume(ctx, at, id)
	if err != nil {
		return volume.Volume{}, err
	}
	capacity, err := size.Fit(rec.Capacity)
	if err != nil {
		return volume.Volume{}, err
	}
	if capacity == rec.Capacity {
		return rec.volume(id)
	}
	if rec.ReadOnly {
		return volume.Volume{}, fmt.Errorf("volume %s is read-only: it has the size of its source and cannot be expanded: %w", id, volume.ErrInvalid)
	}
	if err := p.cluster.ResizeImage(ctx, at, volumePrefix+id.Hash, capacity); err != nil {
		return volume.Volume{}, err
	}
	rec.Capacity = capacity
	if err := p.updateRecord(ctx, at, volumePrefix+id.Hash, &rec); err != nil {
		return volume.Volume{}, err
	}
	return rec.volume(id)
}

// Free returns the bytes that the place's pool can still store.
func (p *Provisioner) Free(ctx context.Context, at tenant.Place) (int64, error) {
	return p.cluster.Free(ctx, at)
}
