package rbd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Provisioner makes volumes and snapshots of RBD images. It implements
// driver.Provisioner and driver.Snapshotter and keeps no state.
type Provisioner struct {
	cluster Cluster
	book    record.Book
	goldens Goldens
	now     func() time.Time
}

// NewProvisioner returns a Provisioner on a cluster.
func NewProvisioner(c Cluster, g Goldens) *Provisioner {
	return &Provisioner{cluster: c, book: record.NewBook(c), goldens: g, now: time.Now}
}

// Create makes the volume of id, or returns the one that is there. The record
// comes first and turns ready last: what a crash leaves in between is undone
// by the next Create or Delete of the same id.
func (p *Provisioner) Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error) {
	rec, err := p.readVolume(ctx, at, id)
	there, err := rec.Stands(err, func() error { return p.remove(ctx, at, id, &rec) })
	if err != nil {
		return volume.Volume{}, err
	}
	if there {
		return rec.volume(id)
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
	return volumeRecord{Volume: record.NewVolume(spec, capacity, p.now()), Block: spec.Block, FsType: fsType, Parent: o.parent}, o, nil
}

// build makes the record and the image. What a failure leaves it removes, or
// leaves to the next call where it is not sure what there is; the record tells
// that one. The volume's share of the tenant's quota comes after the record and
// goes before it, so there is none that nobody would give back.
func (p *Provisioner) build(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin) error {
	if o.parent.Volume != "" && o.parent.Snapshot == "" {
		rec.Parent.Snapshot = copyPrefix + id.Hash
	}
	if err := p.book.Add(ctx, at, volumePrefix+id.Hash, rec); err != nil {
		return err
	}
	err := p.cluster.Reserve(ctx, at, volumePrefix+id.Hash, rec.Capacity)
	if err == nil {
		err = p.fill(ctx, at, id, rec, o)
	}
	if err == nil || volume.IsOpen(err) {
		return err
	}
	return volume.Undone(err, p.remove(context.WithoutCancel(ctx), at, id, rec))
}

func (p *Provisioner) fill(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin) error {
	name := volumePrefix + id.Hash
	if err := p.makeImage(ctx, at, name, rec, o); err != nil {
		return err
	}
	imageID, err := p.cluster.ImageID(ctx, at, name)
	if err != nil {
		return err
	}
	rec.ImageID, rec.State = imageID, record.Ready
	return p.book.Advance(ctx, at, name, rec)
}

func (p *Provisioner) makeImage(ctx context.Context, at tenant.Place, name string, rec *volumeRecord, o origin) error {
	if o.isBlank() {
		return p.newImage(ctx, at, name, rec, func() error { return p.cluster.CreateImage(ctx, at, name, rec.Capacity) })
	}
	if err := p.clone(ctx, at, name, rec, o); err != nil {
		return fmt.Errorf("clone %s: %w", rec.Parent, err)
	}
	if rec.ReadOnly || rec.Capacity == o.parent.Size {
		return nil
	}
	return p.cluster.ResizeImage(ctx, at, name, rec.Capacity)
}

// newImage makes the volume's image. One that is there already is the late
// effect of a call that Ceph did not answer.
func (p *Provisioner) newImage(ctx context.Context, at tenant.Place, name string, rec *volumeRecord, create func() error) error {
	return p.anew(ctx, at, name, rec, create, func() error { return p.cluster.RemoveImage(ctx, at, name) })
}

// anew makes what nobody else can have made while the record is ours: what is
// there already is removed first.
func (p *Provisioner) anew(ctx context.Context, at tenant.Place, name string, rec record.Advancing, create, remove func() error) error {
	err := create()
	if !errors.Is(err, volume.ErrExists) {
		return err
	}
	if err := p.book.Hold(ctx, at, name, rec); err != nil {
		return err
	}
	if err := remove(); err != nil {
		return fmt.Errorf("remove a leftover: %w", err)
	}
	if err = create(); errors.Is(err, volume.ErrExists) {
		return fmt.Errorf("another controller makes %s: %w", name, volume.ErrPending)
	}
	return err
}

// clone clones the parent's snapshot, once more where the parent got another
// name meanwhile because its volume was deleted.
func (p *Provisioner) clone(ctx context.Context, at tenant.Place, name string, rec *volumeRecord, o origin) error {
	err := p.cloneOnce(ctx, at, name, rec, o)
	if errors.Is(err, volume.ErrNotFound) && o.parent.Volume != "" {
		err = p.cloneOnce(ctx, at, name, rec, o)
	}
	return err
}

// cloneOnce clones a snapshot. A volume that is copied gets one for the time
// of the copy; once removed, Ceph keeps it in the trash for the clone.
func (p *Provisioner) cloneOnce(ctx context.Context, at tenant.Place, name string, rec *volumeRecord, o origin) error {
	image, err := p.image(ctx, o.place, o.parent)
	if err != nil {
		return err
	}
	parent := Parent{Place: o.place, Image: image, Snapshot: rec.Parent.Snapshot}
	clone := func() error { return p.cluster.CloneImage(ctx, parent, at, name) }
	if o.parent.Snapshot != "" {
		return p.newImage(ctx, at, name, rec, clone)
	}
	if err := p.copySnapshot(ctx, name, rec, o, parent); err != nil {
		return err
	}
	if err := p.newImage(ctx, at, name, rec, clone); err != nil {
		return err
	}
	return p.dropSnapshot(ctx, o.place, o.parent, parent.Snapshot)
}

func (p *Provisioner) copySnapshot(ctx context.Context, name string, rec *volumeRecord, o origin, parent Parent) error {
	err := p.anew(ctx, o.place, name, rec,
		func() error { return p.cluster.CreateSnapshot(ctx, parent.Place, parent.Image, parent.Snapshot) },
		func() error { return p.cluster.RemoveSnapshot(ctx, parent.Place, parent.Image, parent.Snapshot) })
	if err != nil || parent.Image == deletedPrefix+o.parent.ImageID {
		return err
	}
	return p.checkImage(ctx, o.place, o.parent, parent.Snapshot)
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
	capacity, err := rec.Grown(id, size)
	if err != nil {
		return volume.Volume{}, err
	}
	if capacity == rec.Capacity {
		return rec.volume(id)
	}
	if err := p.grow(ctx, at, volumePrefix+id.Hash, rec.Capacity, capacity); err != nil {
		return volume.Volume{}, err
	}
	rec.Capacity = capacity
	if err := p.book.Advance(ctx, at, volumePrefix+id.Hash, &rec); err != nil {
		return volume.Volume{}, err
	}
	return rec.volume(id)
}

// grow makes an image larger after its share of the quota.
func (p *Provisioner) grow(ctx context.Context, at tenant.Place, name string, from, to int64) error {
	if err := p.cluster.Reserve(ctx, at, name, to); err != nil {
		return err
	}
	err := p.cluster.ResizeImage(ctx, at, name, to)
	if err == nil || volume.IsOpen(err) {
		return err
	}
	return volume.Undone(err, p.cluster.Reserve(context.WithoutCancel(ctx), at, name, from))
}

// Free returns the bytes that the place can still get: what its pool can
// store, or less where the tenant's limits leave less. A place of no tenant
// stands for the pool.
func (p *Provisioner) Free(ctx context.Context, at tenant.Place) (int64, error) {
	free, err := p.cluster.Free(ctx, at)
	if err != nil || at.Limits().IsZero() || at.Tenant() == "" {
		return free, err
	}
	used, err := p.cluster.Used(ctx, at)
	return at.Limits().Left(used, free), err
}
