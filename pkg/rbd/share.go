package rbd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Sharing says how a node shares goldens.
type Sharing = sharing.Options

// Share returns a stager that shares goldens as o says.
func (s *Stager) Share(o Sharing) *Stager {
	sharer := &Stager{reader: s.reader, mapper: s.mapper, host: s.host, steps: s.steps, leases: &leases{}}
	o = o.WithDefaults()
	sharer.goldens = sharing.NewNode[Mapping](o, o.Dir("golden"), backend{sharer}, s.host, s.steps)
	return sharer
}

// Key tells a mapped snapshot from every other one that there ever was: names
// can be used again, these cannot.
func (m Mapping) Key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s\x00%s\x00%d", m.FSID, m.PoolID, m.Namespace, m.ImageID, m.SnapshotID))
	return hex.EncodeToString(sum[:12])
}

// String names the image for people.
func (m Mapping) String() string { return m.Namespace + "/" + m.Image }

// isGolden says whether a mapping is one that volumes share.
func (m Mapping) isGolden() bool { return m.Snapshot == volume.SealedSnapshot && m.SnapshotID != 0 }

// isShared says whether the volume is shown by the golden's own mapping: it is
// the golden unchanged, and only read. A device of its own is what a block
// volume is, and what `share: clone` asks for.
func (r volumeRecord) isShared() bool {
	return r.ReadOnly && !r.Block && r.Share == volume.ShareNode && r.Parent.Golden != "" && r.Parent.SnapshotID != 0
}

// goldenOf is the mapping of the golden that a volume is a clone of.
func goldenOf(at tenant.Place, rec volumeRecord, where Reading) Mapping {
	return Mapping{
		Monitors: at.Cluster().Monitors, Pool: at.Pool(), Namespace: rec.Parent.Tenant, Image: rec.Parent.Golden,
		Snapshot: rec.Parent.Snapshot, ReadOnly: true,
		Identity: Identity{FSID: where.FSID, PoolID: where.PoolID, ImageID: rec.Parent.ImageID, SnapshotID: rec.Parent.SnapshotID},
	}
}

// stageShared shows the golden at the staging path. The tenant's own key must
// be able to read the golden, each time: that it is mapped already, perhaps by
// another tenant, gives nobody a right to it.
func (s *Stager) stageShared(ctx context.Context, at tenant.Place, st volume.Stage, rec volumeRecord, where Reading) error {
	m := goldenOf(at, rec, where)
	if err := s.reader.MayRead(ctx, at, st.Credentials, m); err != nil {
		return fmt.Errorf("read golden %s as %s: %w", rec.Parent, st.Credentials.User, err)
	}
	done, err := s.goldens.Use(ctx, m)
	if err != nil {
		return err
	}
	defer done()
	c, given := readerOf(st, rec.Parent)
	if !given && rec.Parent.Tenant == at.Tenant() {
		if err := s.mustBeMapped(ctx, m); err != nil {
			return err
		}
	}
	err = s.goldens.Mount(ctx, m, func(ctx context.Context) error { return s.mapGolden(ctx, at, m, rec.FsType, c) })
	if !given && errors.Is(err, volume.ErrDenied) {
		klog.FromContext(ctx).Info("the secret has no key to map this golden with, the volume gets a device of its own: write the secret again", "golden", rec.Parent.String())
		return errNoKey
	}
	if err != nil {
		done()
		return volume.Undone(err, s.goldens.GiveUp(ctx, m))
	}
	if err := s.goldens.Show(ctx, m, "", st); err != nil {
		return err
	}
	s.goldens.Prefetch(ctx, m, "", at.Tenant(), rec.Prefetch, rec.Parent.Size)
	return nil
}

// mustBeMapped refuses to map a tenant's own golden with the tenant's own key,
// which could: cutting the tenant off would take the golden from all others.
func (s *Stager) mustBeMapped(ctx context.Context, m Mapping) error {
	_, err := s.mapper.Find(ctx, m)
	if errors.Is(err, volume.ErrNotFound) {
		klog.FromContext(ctx).Info("the secret has no key of this golden's reader, the volume gets a device of its own: write the secret again", "golden", m.String())
		return errNoKey
	}
	return err
}

// errNoKey says that the golden is not mapped and that the request has no key
// that maps it, only one that reads it as the parent of a clone: its secret is
// older than the golden.
var errNoKey = errors.New("no key to map the golden with")

// hasOwn says whether path shows a device of the volume's own already, as with
// a secret that has been written anew since. It stays so.
func (s *Stager) hasOwn(ctx context.Context, path string) bool {
	row, err := s.host.Mounted(ctx, path)
	return err == nil && row.FsType != volume.OverlayType
}

// mapGolden maps and mounts the golden, or finds that it is.
func (s *Stager) mapGolden(ctx context.Context, at tenant.Place, m Mapping, fsType string, c volume.Credentials) error {
	s.lease(ctx, at, m, c)
	dev, err := s.device(ctx, m, c)
	if errors.Is(err, volume.ErrInUse) {
		dev, err = s.revive(ctx, m, c, err)
	}
	if err != nil {
		return err
	}
	defer s.steps.Step("mount")()
	return s.host.Mount(ctx, dev.Path, s.goldens.Path(m), fsType, true, nil)
}

// revive maps a golden anew whose mapping has died. What is mounted of it
// keeps the device, so it goes, if no volume shows it.
func (s *Stager) revive(ctx context.Context, m Mapping, c volume.Credentials, cause error) (Device, error) {
	sharers, err := s.goldens.Sharers(ctx)
	if err != nil || len(sharers[s.goldens.Path(m)]) > 0 {
		return Device{}, errors.Join(cause, err)
	}
	if err := s.host.Unpublish(ctx, s.goldens.Path(m)); err != nil {
		return Device{}, errors.Join(cause, err)
	}
	return s.device(ctx, m, c)
}

// shownShared is Shown for a volume that has no device of its own; cause is
// the mapper's word for that.
func (s *Stager) shownShared(ctx context.Context, id volume.ID, path string, cause error) error {
	if !errors.Is(cause, volume.ErrNotFound) {
		return cause
	}
	shows, err := s.goldens.Shows(ctx, id, path)
	if err != nil || shows {
		return err
	}
	return fmt.Errorf("volume %s is not staged on this node: %w", id, cause)
}

// readerOf is the key to map the volume's golden with: that of the golden's
// reader where one was given with the request, else the tenant's own.
func readerOf(st volume.Stage, parent parentRecord) (c volume.Credentials, given bool) {
	for ref, c := range st.Goldens {
		if ref.Tenant == parent.Tenant && ref.Image() == parent.Golden {
			return c, true
		}
	}
	return st.Credentials, false
}
