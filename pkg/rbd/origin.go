package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// defaultFsType is what a blank volume gets when nobody says.
const defaultFsType = "ext4"

// origin is what a new volume starts from, looked up once.
type origin struct {
	place  tenant.Place // of the parent
	parent parentRecord
	fsType string
	block  bool
}

// origin looks a source up. It changes nothing.
func (p *Provisioner) origin(ctx context.Context, at, golden tenant.Place, s volume.Source) (origin, error) {
	switch {
	case s.IsGolden():
		return p.goldenOrigin(ctx, golden, s.Golden)
	case s.IsVolume():
		return p.volumeOrigin(ctx, at, s.Volume)
	case s.IsSnapshot():
		return p.snapshotOrigin(ctx, at, s.Snapshot)
	}
	return origin{}, nil
}

func (p *Provisioner) goldenOrigin(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (origin, error) {
	g, err := p.goldens.Resolve(ctx, at, ref)
	if err != nil {
		return origin{}, err
	}
	return origin{place: at, fsType: g.FsType, parent: parentRecord{
		Tenant: at.Tenant(), ImageID: g.ImageID, Snapshot: volume.SealedSnapshot,
		SnapshotID: g.SnapshotID, Size: g.Size, Golden: ref.Image(),
	}}, nil
}

func (p *Provisioner) volumeOrigin(ctx context.Context, at tenant.Place, id volume.ID) (origin, error) {
	rec, err := p.readyVolume(ctx, at, id)
	if err != nil {
		return origin{}, err
	}
	return origin{place: at, fsType: rec.FsType, block: rec.Block, parent: parentRecord{
		Tenant: at.Tenant(), ImageID: rec.ImageID, Size: rec.imageSize(), Volume: id.Hash,
	}}, nil
}

func (p *Provisioner) snapshotOrigin(ctx context.Context, at tenant.Place, id volume.SnapshotID) (origin, error) {
	rec, err := p.readySnapshot(ctx, at, id)
	if err != nil {
		return origin{}, err
	}
	source, err := rec.Of(id)
	if err != nil {
		return origin{}, err
	}
	return origin{place: at, fsType: rec.FsType, block: rec.Block, parent: parentRecord{
		Tenant: at.Tenant(), ImageID: rec.ImageID, Snapshot: snapshotPrefix + id.Hash, Size: rec.Size, Volume: source.Hash,
	}}, nil
}

// imageSize is the size of the volume's image, which a read-only volume's
// capacity may exceed: it is a clone that nobody resizes.
func (r volumeRecord) imageSize() int64 {
	if r.ReadOnly {
		return r.Parent.Size
	}
	return r.Capacity
}

// isBlank says that there is no parent.
func (o origin) isBlank() bool { return o.parent == parentRecord{} }

// admit refuses what cannot be made of this origin and settles the file system.
func (o origin) admit(spec volume.Spec) (fsType string, err error) {
	if o.isBlank() {
		return blankFsType(spec)
	}
	golden := o.parent.Golden != ""
	switch {
	case !golden && o.block != spec.Block:
		return "", fmt.Errorf("%s and the new volume differ in kind: one is a block volume, one a file system: %w", spec.Source, volume.ErrInvalid)
	case spec.Block:
		return "", nil
	case spec.FsType != "" && spec.FsType != o.fsType:
		return "", fmt.Errorf("%s has an %s file system and the request asks for %s: the content decides, leave fsType out: %w", spec.Source, o.fsType, spec.FsType, volume.ErrInvalid)
	case o.fsType == "erofs" && !spec.ReadOnly:
		return "", fmt.Errorf("%s is EROFS, which nobody can write: use ReadOnlyMany, or import with --format ext4: %w", spec.Source, volume.ErrInvalid)
	}
	return o.fsType, nil
}

func blankFsType(spec volume.Spec) (string, error) {
	switch {
	case spec.ReadOnly:
		return "", fmt.Errorf("a read-only volume needs content: name a golden or a dataSource: %w", volume.ErrInvalid)
	case spec.Block:
		return "", nil
	case spec.FsType == "":
		return defaultFsType, nil
	case spec.FsType != "ext4" && spec.FsType != "xfs":
		return "", fmt.Errorf("a blank volume cannot have file system %.32q: use ext4 or xfs: %w", spec.FsType, volume.ErrInvalid)
	}
	return spec.FsType, nil
}

// image names the parent's image: the golden's, the volume's, or the name
// that the image got when its volume was deleted, or deleted and made again.
func (p *Provisioner) image(ctx context.Context, at tenant.Place, parent parentRecord) (string, error) {
	if parent.Golden != "" {
		return parent.Golden, nil
	}
	name := volumePrefix + parent.Volume
	id, err := p.cluster.ImageID(ctx, at, name)
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return "", err
	}
	if id == parent.ImageID {
		return name, nil
	}
	return deletedPrefix + parent.ImageID, nil
}
