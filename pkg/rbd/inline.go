package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ShowGolden implements driver.Goldens: it shows the golden of the place owner
// to a pod of the tenant of at. The golden is mapped as for volumes, once on
// the node. No clone holds it, so a lease must: without one nothing is shown.
func (s *Stager) ShowGolden(ctx context.Context, at, owner tenant.Place, in volume.Inline) error {
	shown, err := s.goldens.At(ctx, in.Target)
	if err != nil {
		return err
	}
	c, ok := in.Goldens[in.Golden]
	if in.IsShown(shown.Shows) {
		if ok {
			s.leases.suggest(owner, in.Golden, c)
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("the Secret has no key of golden %s: look whether there is such a golden (`sdpctl golden show %[1]s`), and write the Secret anew (`sdpctl tenant secret %[2]s --inline`): %[3]w", in.Golden, at.Tenant(), volume.ErrDenied)
	}
	g, m, err := s.sealed(ctx, owner, in, c)
	if err != nil {
		return err
	}
	// That the node has the golden mapped, perhaps for another tenant, gives
	// nobody a right to it.
	if err := s.reader.MayRead(ctx, at, in.Credentials, m); err != nil {
		return fmt.Errorf("read golden %s as %s: %w", in.Golden, in.Credentials.User, err)
	}
	done, err := s.goldens.Use(ctx, m)
	if err != nil {
		return err
	}
	defer done()
	if err := s.mustHold(ctx, owner, in, m, c); err != nil {
		return err
	}
	err = s.goldens.Mount(ctx, m, func(ctx context.Context) error { return s.mapGolden(ctx, at, m, g.FsType, c) })
	if err != nil {
		done()
		return volume.Undone(err, s.goldens.GiveUp(ctx, m))
	}
	return s.goldens.ShowAt(ctx, m, "", in, in.Target, in.Options)
}

// sealed reads the golden's record with the key of its reader.
func (s *Stager) sealed(ctx context.Context, owner tenant.Place, in volume.Inline, c volume.Credentials) (g volume.Golden, m Mapping, err error) {
	defer s.steps.Step("record")()
	name := in.Golden.Image()
	where, err := s.reader.Read(ctx, owner, c, name)
	if errors.Is(err, volume.ErrDenied) {
		return g, m, fmt.Errorf("read the record of golden %s as %s: run `sdpctl tenant sync`, and write the Secret anew: %w", in.Golden, c.User, err)
	}
	if err != nil {
		return g, m, fmt.Errorf("golden %s: %w", in.Golden, err)
	}
	var rec record.Golden
	if err := record.Decode(name, where.Data, &rec); err != nil {
		return g, m, err
	}
	if g, err = rec.Describe(owner.Tenant()); err != nil {
		return g, m, err
	}
	return g, goldenAt(owner, g, where), mayShow(g, in)
}

// mayShow refuses a golden that cannot be had in the way that is asked for.
func mayShow(g volume.Golden, in volume.Inline) error {
	switch {
	case g.Usable() != nil:
		return g.Usable()
	case g.Backend() != volume.RBD:
		return fmt.Errorf("golden %s is in backend %s: say so in volumeAttributes (backend: %s): %w", g.Ref, g.Backend(), g.Backend(), volume.ErrInvalid)
	case in.FsType != "" && in.FsType != g.FsType:
		return fmt.Errorf("golden %s has an %s file system, and the pod asks for %.32q: leave fsType out: %w", g.Ref, g.FsType, in.FsType, volume.ErrInvalid)
	}
	return nil
}

// goldenAt is the mapping of a golden that a record describes.
func goldenAt(owner tenant.Place, g volume.Golden, where Reading) Mapping {
	return Mapping{
		Monitors: owner.Cluster().Monitors, Pool: owner.Pool(), Namespace: owner.Namespace(), Image: g.Ref.Image(),
		Snapshot: volume.SealedSnapshot, ReadOnly: true,
		Identity: Identity{FSID: where.FSID, PoolID: where.PoolID, ImageID: g.ImageID, SnapshotID: g.SnapshotID},
	}
}

// mustHold takes a lease of the golden and looks once more whether it is ready.
// A deletion that begins after that look meets the lease; one that began before
// may not have, and is seen.
func (s *Stager) mustHold(ctx context.Context, owner tenant.Place, in volume.Inline, m Mapping, c volume.Credentials) error {
	if s.goldens.Options.Node == "" {
		return fmt.Errorf("this node has no name to lease golden %s under: %w", in.Golden, volume.ErrUnsupported)
	}
	if !s.leases.isDue(m.Key()) {
		return nil
	}
	if err := s.tryLease(ctx, lease{at: owner, m: m, c: c}); err != nil {
		return fmt.Errorf("lease golden %s as %s: %w", in.Golden, c.User, err)
	}
	_, now, err := s.sealed(ctx, owner, in, c)
	if err == nil && now.Key() != m.Key() {
		err = fmt.Errorf("golden %s has become another one: %w", in.Golden, volume.ErrPending)
	}
	return err
}

// HideGolden implements driver.Goldens.
func (s *Stager) HideGolden(ctx context.Context, handle, target string) error {
	return s.goldens.HideInline(ctx, handle, target, s.host.Unpublish)
}

// ShownTo implements driver.Goldens.
func (s *Stager) ShownTo(ctx context.Context, name string) ([]string, error) {
	return s.goldens.InlineOf(ctx, name)
}

// ShownGolden implements driver.Goldens.
func (s *Stager) ShownGolden(ctx context.Context, handle, target string) error {
	return s.goldens.ShowsInline(ctx, handle, target)
}
