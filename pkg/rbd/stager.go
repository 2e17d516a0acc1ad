package rbd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Stager maps volumes and mounts them in their staging directories. It keeps
// no state: what is staged is what the kernel shows. It implements
// driver.Stager.
type Stager struct {
	reader Reader
	mapper Mapper
	host   Host
	steps  Steps

	goldens *sharing.Node[Mapping] // what volumes share
	leases  *leases
}

// Steps observes how long the steps of staging take.
type Steps = sharing.Steps

// NewStager returns a Stager that shares goldens by default: see Share. All
// arguments are needed.
func NewStager(r Reader, m Mapper, h Host, s Steps) *Stager {
	return (&Stager{reader: r, mapper: m, host: h, steps: s}).Share(Sharing{})
}

// Limit returns how many volumes the node can have staged.
func (s *Stager) Limit() int64 { return s.mapper.Limit() }

// Stage maps and mounts a volume. The record is read with the request's key
// even where all is in place: that proves the tenant's access each time.
func (s *Stager) Stage(ctx context.Context, at tenant.Place, st volume.Stage) error {
	rec, where, err := s.record(ctx, at, st)
	if err != nil {
		return err
	}
	if err := s.admit(rec, st); err != nil {
		return err
	}
	s.leases.offer(at, st.Goldens)
	if rec.isShared() && !s.hasOwn(ctx, st.Path) {
		if err := s.stageShared(ctx, at, st, rec, where); !errors.Is(err, errNoKey) {
			return err
		}
	}
	m := mapping(at, st.ID)
	m.Identity = Identity{FSID: where.FSID, PoolID: where.PoolID, ImageID: rec.ImageID}
	m.ReadOnly = rec.ReadOnly || st.ReadOnly
	return s.stageOwn(ctx, st, rec, m)
}

// stageOwn shows a volume by a mapping of its own image.
func (s *Stager) stageOwn(ctx context.Context, st volume.Stage, rec volumeRecord, m Mapping) error {
	done, err := s.goldens.Holds.Use(ctx, m.names())
	if err != nil {
		return err
	}
	defer done()
	if rec.mayBeUnclean() {
		if err := s.settle(ctx, st, rec, m); err != nil {
			return err
		}
	}
	if err := s.settleAccess(ctx, m); err != nil {
		return err
	}
	dev, err := s.device(ctx, m, st.Credentials)
	if err != nil {
		return err
	}
	if err := s.show(ctx, rec, st, dev, m.ReadOnly); err != nil {
		return volume.Undone(err, s.giveUp(ctx, m))
	}
	return nil
}

// giveUpTime bounds the removal of a mapping that nothing could be made of.
const giveUpTime = time.Minute

// giveUp releases a mapping, also after the caller has gone.
func (s *Stager) giveUp(ctx context.Context, m Mapping) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	return s.release(ctx, m)
}

func (s *Stager) record(ctx context.Context, at tenant.Place, st volume.Stage) (rec volumeRecord, where Reading, err error) {
	defer s.steps.Step("record")()
	name := volumePrefix + st.ID.Hash
	if st.ID.Backend != volume.RBD {
		return rec, where, fmt.Errorf("volume %s is not one of backend %s: %w", st.ID, volume.RBD, volume.ErrNotFound)
	}
	where, err = s.reader.Read(ctx, at, st.Credentials, name)
	if err != nil {
		return rec, where, fmt.Errorf("read the record of volume %s as %s: %w", st.ID, st.Credentials.User, err)
	}
	if err := record.Decode(name, where.Data, &rec); err != nil {
		return rec, where, err
	}
	if rec.State != record.Ready {
		return rec, where, fmt.Errorf("volume %s is in state %s: %w", st.ID, rec.State, volume.ErrNotFound)
	}
	return rec, where, nil
}

// admit compares the request with the record, which alone is trusted.
func (s *Stager) admit(rec volumeRecord, st volume.Stage) error {
	switch {
	case !rec.ReadOnly && !st.ReadOnly && !s.mapper.Exclusive():
		return fmt.Errorf("volume %s is writable, and this node's mapper cannot keep a second writer out: use krbd: %w", st.ID, volume.ErrUnsupported)
	case rec.Block != st.Block:
		return fmt.Errorf("volume %s: block is %t, the request has %t: %w", st.ID, rec.Block, st.Block, volume.ErrPrecondition)
	case rec.ReadOnly && !st.ReadOnly:
		return fmt.Errorf("volume %s is read-only and cannot be staged with a writer's access mode: use ReadOnlyMany: %w", st.ID, volume.ErrPrecondition)
	case !st.Block && st.FsType != "" && st.FsType != rec.FsType:
		return fmt.Errorf("volume %s has an %s file system, the request asks for %.32q: %w", st.ID, rec.FsType, st.FsType, volume.ErrPrecondition)
	}
	return nil
}

// mapping names a volume's own image.
func mapping(at tenant.Place, id volume.ID) Mapping {
	return Mapping{Monitors: at.Cluster().Monitors, Pool: at.Pool(), Namespace: at.Namespace(), Image: volumePrefix + id.Hash}
}

func (s *Stager) device(ctx context.Context, m Mapping, c volume.Credentials) (Device, error) {
	defer s.steps.Step("map")()
	dev, err := s.mapper.Map(ctx, m, c)
	if err != nil {
		return Device{}, fmt.Errorf("map %s/%s/%s: %w", m.Pool, m.Namespace, m.Image, err)
	}
	return dev, nil
}

// show makes the device visible in the staging directory.
func (s *Stager) show(ctx context.Context, rec volumeRecord, st volume.Stage, dev Device, readOnly bool) error {
	if st.Block {
		return s.host.BindDevice(ctx, dev.Path, stagedDevice(st.Path), readOnly)
	}
	if rec.isBlank() && !readOnly {
		if err := s.format(ctx, rec, dev); err != nil {
			return err
		}
	}
	if err := s.mount(ctx, rec, st, dev, readOnly); err != nil {
		return err
	}
	if readOnly {
		return nil
	}
	return s.grow(ctx, dev, st.Path)
}

func (s *Stager) format(ctx context.Context, rec volumeRecord, dev Device) error {
	defer s.steps.Step("format")()
	return s.host.Format(ctx, dev.Path, rec.FsType)
}

func (s *Stager) mount(ctx context.Context, rec volumeRecord, st volume.Stage, dev Device, readOnly bool) error {
	defer s.steps.Step("mount")()
	return s.host.Mount(ctx, dev.Path, st.Path, rec.FsType, readOnly, st.Options)
}

func (s *Stager) grow(ctx context.Context, dev Device, path string) error {
	defer s.steps.Step("grow")()
	return s.host.Grow(ctx, dev.Path, path)
}

// isBlank says that the volume began without content.
func (r volumeRecord) isBlank() bool { return r.Source.IsZero() }

func stagedDevice(path string) string { return filepath.Join(path, volume.StagedDevice) }

// Unstage removes the mount and, when it was the last of the device, the
// device. It begins wherever a killed one stopped.
func (s *Stager) Unstage(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	m := mapping(at, id)
	done, err := s.goldens.Holds.Use(ctx, m.names())
	if err != nil {
		return err
	}
	defer done()
	lower, err := s.goldens.Lower(ctx, path)
	if err != nil {
		return err
	}
	if err := s.host.Unmount(ctx, stagedDevice(path)); err != nil {
		return err
	}
	if err := s.host.Unmount(ctx, path); err != nil {
		return err
	}
	if lower != "" {
		return s.goldens.Leave(ctx, lower)
	}
	return s.release(ctx, m)
}

// release unmaps what no mount shows any more.
func (s *Stager) release(ctx context.Context, m Mapping) error {
	dev, err := s.mapper.Find(ctx, m)
	if errors.Is(err, volume.ErrNotFound) {
		// A half-made mapping has no device as yet.
		return s.unmap(ctx, m)
	}
	if err != nil {
		return err
	}
	users, err := s.host.Users(ctx, dev.Path)
	if err != nil || users > 0 {
		return err
	}
	return s.unmap(ctx, m)
}

// Expand makes the device, and the file system on it, as large as the image.
// The size is the caller's to name: the driver answers what was asked for.
func (s *Stager) Expand(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	m := mapping(at, id)
	dev, err := s.mapper.Find(ctx, m)
	if err != nil {
		// A shared one is read-only: it has nothing to grow.
		return s.shownShared(ctx, id, path, err)
	}
	if err := s.mapper.Refresh(ctx, m); err != nil {
		return err
	}
	row, err := s.mounted(ctx, path)
	if err != nil {
		return err
	}
	if row.ReadOnly || row.Device != dev.Path || row.FsType == "" {
		return nil
	}
	return s.grow(ctx, dev, path)
}

// Shown says whether this node shows the volume at path, or with an empty
// path whether it has a device of it; volume.ErrNotFound when it does not.
func (s *Stager) Shown(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	dev, err := s.mapper.Find(ctx, mapping(at, id))
	if err != nil {
		return s.shownShared(ctx, id, path, err)
	}
	if path == "" {
		return nil
	}
	row, err := s.mounted(ctx, path)
	if err != nil {
		return fmt.Errorf("volume %s at %s: %w", id, path, err)
	}
	if row.Device != dev.Path {
		return fmt.Errorf("%s does not show volume %s: %w", path, id, volume.ErrNotFound)
	}
	return nil
}

// mounted returns what path shows. A block volume is staged as a file in the
// directory.
func (s *Stager) mounted(ctx context.Context, path string) (Mount, error) {
	row, err := s.host.Mounted(ctx, path)
	if errors.Is(err, volume.ErrNotFound) {
		row, err = s.host.Mounted(ctx, stagedDevice(path))
	}
	return row, err
}
