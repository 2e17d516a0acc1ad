package cephfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ShowGolden implements driver.Goldens: it shows the golden of the place owner
// to a pod of the tenant of at, by the mount that volumes of it share. No
// reference holds it, so a lease must, which the key of the golden's reader
// alone can take: that is the proof of access as well.
func (s *Stager) ShowGolden(ctx context.Context, at, owner tenant.Place, in volume.Inline) error {
	c, ok := in.Goldens[in.Golden]
	if !ok {
		return fmt.Errorf("the Secret has no key of golden %s: look whether there is such a golden (`sdpctl golden show %[1]s`), and write the Secret anew (`sdpctl tenant secret %[2]s --inline`): %[3]w", in.Golden, at.Tenant(), volume.ErrDenied)
	}
	if kept, err := s.isShown(ctx, owner, in, c); err != nil || kept {
		return err
	}
	of, t, err := s.sealed(ctx, owner, in, c)
	if err != nil {
		return err
	}
	golden := newContent(t, of, "")
	done, err := s.goldens.Use(ctx, golden)
	if err != nil {
		return err
	}
	defer done()
	if err := s.mustHold(ctx, owner, in, lease{at: owner, of: of, c: c, golden: golden}); err != nil {
		return err
	}
	err = s.goldens.Mount(ctx, golden, func(ctx context.Context) error {
		return s.mount(ctx, t, s.goldens.Path(golden), nil, c)
	})
	if err != nil {
		done()
		return volume.Undone(err, s.goldens.GiveUp(ctx, golden))
	}
	return s.goldens.ShowAt(ctx, golden, of.inside(), in, in.Target, in.Options)
}

// isShown says whether the target shows the golden already. A driver that was
// started again gets the key to renew its lease with by that. What has died
// goes, to be shown anew.
func (s *Stager) isShown(ctx context.Context, owner tenant.Place, in volume.Inline, c volume.Credentials) (bool, error) {
	shown, err := s.goldens.At(ctx, in.Target)
	if err != nil || !in.IsShown(shown.Shows) {
		return false, err
	}
	dead, err := s.host.IsDead(ctx, in.Target)
	if err != nil {
		return false, err
	}
	if dead {
		return false, s.host.Unmount(ctx, in.Target)
	}
	s.leases.offer(lease{
		at: owner, of: snapshotOf(in.Golden, path.Base(shown.Inside)), c: c, golden: content{key: path.Base(shown.Lower)},
	})
	return true, nil
}

// snapshotOf is a golden's snapshot, whose content is in directory.
func snapshotOf(ref volume.GoldenRef, directory string) Snapshot {
	return Snapshot{Tenant: ref.Tenant, Subvolume: ref.Image(), Directory: directory, Name: volume.SealedSnapshot}
}

// sealed reads the golden's record with the key of its reader.
func (s *Stager) sealed(ctx context.Context, owner tenant.Place, in volume.Inline, c volume.Credentials) (of Snapshot, t Target, err error) {
	defer s.steps.Step("record")()
	name := in.Golden.Image()
	got, err := s.reader.Read(ctx, owner, c, name)
	if errors.Is(err, volume.ErrDenied) {
		return of, t, fmt.Errorf("read the record of golden %s as %s: run `sdpctl tenant sync`, and write the Secret anew: %w", in.Golden, c.User, err)
	}
	if err != nil {
		return of, t, fmt.Errorf("golden %s: %w", in.Golden, err)
	}
	var rec record.Golden
	if err := record.Decode(name, got.Data, &rec); err != nil {
		return of, t, err
	}
	g, err := rec.Describe(owner.Tenant())
	if err == nil {
		err = mayShow(g, in)
	}
	if err != nil {
		return of, t, err
	}
	t, err = target(owner, got.FSID, Root(owner.Tenant(), name), true)
	return snapshotOf(in.Golden, g.ImageID), t, err
}

// mayShow refuses a golden that cannot be had in the way that is asked for.
func mayShow(g volume.Golden, in volume.Inline) error {
	switch {
	case g.Usable() != nil:
		return g.Usable()
	case g.Backend() != volume.CephFS:
		return fmt.Errorf("golden %s is in backend %s: say so in volumeAttributes (backend: %s): %w", g.Ref, g.Backend(), g.Backend(), volume.ErrInvalid)
	case in.FsType != "" && in.FsType != fsType:
		return fmt.Errorf("golden %s is of CephFS, and the pod asks for %.32q: leave fsType out: %w", g.Ref, in.FsType, volume.ErrInvalid)
	}
	return nil
}

// mustHold takes a lease of the golden and looks once more whether it is ready.
// A deletion that begins after that look meets the lease; one that began before
// may not have, and is seen.
func (s *Stager) mustHold(ctx context.Context, owner tenant.Place, in volume.Inline, l lease) error {
	if s.goldens.Options.Node == "" {
		return fmt.Errorf("this node has no name to lease golden %s under: %w", in.Golden, volume.ErrUnsupported)
	}
	if err := s.takeLease(ctx, l); err != nil {
		return fmt.Errorf("lease golden %s as %s: %w", in.Golden, l.c.User, err)
	}
	now, _, err := s.sealed(ctx, owner, in, l.c)
	if err == nil && now != l.of {
		err = fmt.Errorf("golden %s has become another one: %w", in.Golden, volume.ErrPending)
	}
	return err
}

func (s *Stager) takeLease(ctx context.Context, l lease) error {
	defer s.steps.Step("lease")()
	l.since = time.Now()
	if err := s.reader.Lease(ctx, l.at, l.c, l.of, s.goldens.Options.Node, l.since.Add(leaseTime)); err != nil {
		return err
	}
	s.leases.put(l)
	return nil
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
