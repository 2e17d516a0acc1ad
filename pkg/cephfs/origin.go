package cephfs

import (
	"context"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// origin is what a new volume starts from, looked up once.
type origin struct {
	source volume.Source
	golden tenant.Place // where the source golden lives
	parent parentRecord // without a snapshot's name where the source is live
}

// isBlank says that there is no parent.
func (o origin) isBlank() bool { return o.parent.isZero() }

// isLive says that the source is a writable volume, which has no snapshot of
// the present.
func (o origin) isLive() bool { return !o.isBlank() && o.parent.Name == "" }

// origin looks a source up. It changes nothing.
func (p *Provisioner) origin(ctx context.Context, at, golden tenant.Place, s volume.Source) (o origin, err error) {
	o = origin{source: s, golden: golden}
	switch {
	case s.IsGolden():
		o.parent, err = p.goldenParent(ctx, golden, s.Golden)
	case s.IsVolume():
		o.parent, err = p.volumeParent(ctx, at, s.Volume)
	case s.IsSnapshot():
		o.parent, err = p.snapshotParent(ctx, at, s.Snapshot)
	}
	return o, err
}

func (p *Provisioner) goldenParent(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (parentRecord, error) {
	g, err := p.goldens.Resolve(ctx, at, ref)
	if err != nil {
		return parentRecord{}, err
	}
	return parentRecord{Size: g.Size, Snapshot: Snapshot{
		Tenant: at.Tenant(), Subvolume: ref.Image(), Directory: g.ImageID, Name: volume.SealedSnapshot,
	}}, nil
}

// volumeParent is what a read-only volume shows, or a writable one itself.
func (p *Provisioner) volumeParent(ctx context.Context, at tenant.Place, id volume.ID) (parentRecord, error) {
	rec, err := p.readyVolume(ctx, at, id)
	if err != nil {
		return parentRecord{}, err
	}
	if rec.ReadOnly {
		return rec.Parent, p.prove(ctx, at, rec.Parent, user(id))
	}
	return parentRecord{Size: rec.Capacity, Snapshot: Snapshot{Tenant: at.Tenant(), Subvolume: rec.Subvolume, Directory: rec.Directory}}, nil
}

func (p *Provisioner) snapshotParent(ctx context.Context, at tenant.Place, id volume.SnapshotID) (parentRecord, error) {
	rec, err := p.readySnapshot(ctx, at, id)
	if err != nil {
		return parentRecord{}, err
	}
	if rec.isReference() {
		return rec.Parent, p.prove(ctx, at, rec.Parent, snapshotUser(id))
	}
	return rec.Parent, nil
}

// prove refuses a record that names a snapshot which no controller gave it.
// The tenant could have written that, and would have another one's data copied
// or shown.
func (p *Provisioner) prove(ctx context.Context, at tenant.Place, to parentRecord, user string) error {
	held, err := p.cluster.HasReference(ctx, at, to.Snapshot, user)
	if err == nil && !held {
		err = fmt.Errorf("%s does not hold snapshot %s of %s: %w", user, to.Name, to.Subvolume, volume.ErrDenied)
	}
	return err
}
