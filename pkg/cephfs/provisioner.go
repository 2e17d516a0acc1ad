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

// Provisioner makes volumes and snapshots in a file system. It implements
// driver.Backend. What it keeps are the copies under way: a restart begins
// those anew when their volumes are asked for again.
type Provisioner struct {
	cluster Cluster
	book    record.Book
	goldens Goldens
	now     func() time.Time
	copies  *copies
}

// Options are what a Provisioner may be told. A zero field means its default.
type Options struct {
	// CreateWait is how long a Create waits for the copy of a writable
	// volume's content before it answers that it is pending (60 s).
	CreateWait time.Duration
	// Copies is how many copies run at once for one tenant (2).
	Copies int
	// Metrics observes the copies; nil: nobody does.
	Metrics CopyMetrics
}

// NewProvisioner returns a Provisioner on a cluster.
func NewProvisioner(c Cluster, g Goldens, o Options) *Provisioner {
	return &Provisioner{cluster: c, book: record.NewBook(c), goldens: g, now: time.Now, copies: newCopies(o)}
}

// Close ends the copies under way. What they have made goes when their
// volumes are asked for again, or with the next sweep.
func (p *Provisioner) Close() { p.copies.close() }

// Create makes the volume of id, or returns the one that is there. The record
// comes first and turns ready last: what a crash leaves in between is undone
// by the next Create or Delete of the same id. While the content of a writable
// volume is being copied it wraps volume.ErrPending and tells how far that is.
func (p *Provisioner) Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error) {
	if c := p.copies.find(id); c != nil {
		return p.await(ctx, at, id, c, spec.AnswerBy)
	}
	rec, err := p.readVolume(ctx, at, id)
	there, err := rec.Stands(err, func() error { return p.remove(ctx, at, id, &rec) })
	if err != nil {
		return volume.Volume{}, err
	}
	if there {
		return rec.volume(id)
	}
	o, err := p.origin(ctx, at, golden, spec.Source)
	if err == nil {
		rec, err = p.plan(id, spec, o)
	}
	if err != nil {
		return volume.Volume{}, err
	}
	if o.isBlank() || spec.ReadOnly {
		if err := p.build(ctx, at, id, &rec, o, nil); err != nil {
			return volume.Volume{}, err
		}
		return rec.volume(id)
	}
	return p.copy(ctx, at, id, rec, o, spec.AnswerBy)
}

// plan settles everything about the new volume and changes nothing.
func (p *Provisioner) plan(id volume.ID, spec volume.Spec, o origin) (volumeRecord, error) {
	if err := admit(spec, o); err != nil {
		return volumeRecord{}, err
	}
	capacity, err := spec.Size.Fit(o.parent.Size)
	if err != nil {
		return volumeRecord{}, err
	}
	rec := volumeRecord{Volume: record.NewVolume(spec, capacity, p.now()), Parent: o.parent}
	if o.isBlank() || !spec.ReadOnly {
		rec.Subvolume = volumePrefix + id.Hash + "." + rec.Attempt
	}
	if o.isLive() {
		rec.Parent.Name = copyPrefix + id.Hash + "." + rec.Attempt
	}
	return rec, nil
}

// admit refuses what no file system can be.
func admit(spec volume.Spec, o origin) error {
	switch {
	case spec.Block:
		return fmt.Errorf("backend %s has no block volumes: use volumeMode Filesystem: %w", volume.CephFS, volume.ErrInvalid)
	case spec.FsType != "" && spec.FsType != fsType:
		return fmt.Errorf("backend %s has no file system %.32q: leave fsType out: %w", volume.CephFS, spec.FsType, volume.ErrInvalid)
	case spec.ReadOnly && o.isBlank():
		return fmt.Errorf("a read-only volume needs content: name a golden or a dataSource: %w", volume.ErrInvalid)
	}
	return nil
}

// build makes the record and what it stands for. What a failure leaves it
// removes, or leaves to the next call where it is not sure what there is; the
// record tells that one.
func (p *Provisioner) build(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin, read func(int64)) error {
	name := volumePrefix + id.Hash
	if err := p.book.Add(ctx, at, name, rec); err != nil {
		return err
	}
	err := p.cluster.Reserve(ctx, at, sharePrefix+name, rec.Capacity)
	if err == nil {
		err = p.fill(ctx, at, id, rec, o, read)
	}
	if err != nil && !volume.IsOpen(err) {
		err = volume.Undone(err, p.remove(context.WithoutCancel(ctx), at, id, rec))
	}
	if errors.Is(err, volume.ErrPending) {
		err = volume.Undone(err, p.disown(context.WithoutCancel(ctx), at, id, rec))
	}
	return err
}

// disown removes what was made for an attempt that another controller has taken
// over. It has this attempt's name, so that one does not know of it, or removes
// it too.
func (p *Provisioner) disown(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord) error {
	if rec.Subvolume != "" {
		if err := p.removeSubvolume(ctx, at, rec.Subvolume); err != nil {
			return err
		}
	}
	if !rec.Parent.isCopy() {
		return nil
	}
	return p.release(ctx, at, user(id), rec.Parent)
}

func (p *Provisioner) fill(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin, read func(int64)) error {
	if !o.isBlank() {
		if err := p.hold(ctx, at, id, rec, o); err != nil {
			return err
		}
	}
	if !rec.ReadOnly {
		if err := p.makeSubvolume(ctx, at, id, rec, read); err != nil {
			return err
		}
	}
	rec.State = record.Ready
	return p.book.Advance(ctx, at, volumePrefix+id.Hash, rec)
}

// hold keeps the parent alive: a snapshot is taken of a live volume, and a
// reference is added. Only then is it certain that a look at the source is
// still true when the volume is used: it is looked at once more.
func (p *Provisioner) hold(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, o origin) error {
	if o.isLive() {
		if err := p.cluster.CreateSnapshot(ctx, at, rec.Parent.Subvolume, rec.Parent.Name); err != nil {
			return fmt.Errorf("snapshot of %s: %w", o.source, err)
		}
	}
	if err := p.cluster.AddReference(ctx, at, rec.Parent.Snapshot, user(id)); err != nil {
		return fmt.Errorf("hold %s: %w", o.source, err)
	}
	again, err := p.origin(ctx, at, o.golden, o.source)
	if err != nil {
		return err
	}
	if again.parent != o.parent {
		return fmt.Errorf("%s is another one by now: %w", o.source, volume.ErrPending)
	}
	return nil
}

// makeSubvolume makes a writable volume, with its content where it has a
// source. Only when all is there does anybody get a key to it.
func (p *Provisioner) makeSubvolume(ctx context.Context, at tenant.Place, id volume.ID, rec *volumeRecord, read func(int64)) (err error) {
	if rec.Directory, err = p.cluster.CreateSubvolume(ctx, at, rec.Subvolume, rec.Capacity); err != nil {
		return err
	}
	if !rec.Parent.isZero() {
		if err := p.cluster.Copy(ctx, at, rec.Parent.Snapshot, rec.Subvolume, read); err != nil {
			return err
		}
		if err := p.release(ctx, at, user(id), rec.Parent); err != nil {
			return err
		}
		rec.Parent = parentRecord{}
	}
	return p.cluster.AddWriter(ctx, at, rec.Subvolume, rec.Directory)
}

// user is what a volume's references are called. A snapshot's have another
// form.
func user(id volume.ID) string { return id.Tenant + "/" + volumePrefix + id.Hash }

func snapshotUser(id volume.SnapshotID) string { return id.Tenant + "/" + snapshotPrefix + id.Hash }

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
	if err := p.grow(ctx, at, id, rec, capacity); err != nil {
		return volume.Volume{}, err
	}
	rec.Capacity = capacity
	if err := p.book.Advance(ctx, at, volumePrefix+id.Hash, &rec); err != nil {
		return volume.Volume{}, err
	}
	return rec.volume(id)
}

// grow sets a larger quota after its share of the tenant's.
func (p *Provisioner) grow(ctx context.Context, at tenant.Place, id volume.ID, rec volumeRecord, to int64) error {
	share := sharePrefix + volumePrefix + id.Hash
	if err := p.cluster.Reserve(ctx, at, share, to); err != nil {
		return err
	}
	err := p.cluster.ResizeSubvolume(ctx, at, rec.Subvolume, to)
	if err == nil || volume.IsOpen(err) {
		return err
	}
	return volume.Undone(err, p.cluster.Reserve(context.WithoutCancel(ctx), at, share, rec.Capacity))
}

// Free returns the bytes that the place can still get: what the data pool can
// store, or less where the tenant's limits leave less.
func (p *Provisioner) Free(ctx context.Context, at tenant.Place) (int64, error) {
	free, err := p.cluster.Free(ctx, at)
	if err != nil || at.Limits().IsZero() || at.Tenant() == "" {
		return free, err
	}
	used, err := p.cluster.Used(ctx, at)
	return at.Limits().Left(used, free), err
}
