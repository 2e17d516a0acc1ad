package cephfs

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Host is the node's kernel as staging needs it. pkg/mount implements it,
// tests/fake in memory. Safe for concurrent use; calls for one path are
// serialised by the caller.
type Host interface {
	Table
	sharing.Host
	// Unpublish is Unmount, and removes the directory as well.
	Unpublish(ctx context.Context, path string) error
	// Below returns what is in dir by its name, and what is mounted on each.
	Below(ctx context.Context, dir string) (map[string]volume.Mount, error)
	// FileSystems returns what is mounted on this node.
	FileSystems(ctx context.Context) ([]volume.Mount, error)
}

// Stager mounts volumes in their staging directories. It keeps no state: what
// is staged is what the kernel shows. It implements driver.Stager.
type Stager struct {
	reader  Reader
	mounter Mounter
	host    Host
	steps   sharing.Steps

	goldens *sharing.Node[content] // what volumes share
	own     *sharing.Node[content] // what one volume has for itself
	leases  *leases                // of goldens that inline volumes show
}

// NewStager returns a Stager that shares goldens by default: see Share. All
// arguments are needed.
func NewStager(r Reader, m Mounter, h Host, s sharing.Steps) *Stager {
	return (&Stager{reader: r, mounter: m, host: h, steps: s}).Share(sharing.Options{})
}

// Share returns a stager that shares goldens as o says.
func (s *Stager) Share(o sharing.Options) *Stager {
	sharer := &Stager{reader: s.reader, mounter: s.mounter, host: s.host, steps: s.steps, leases: &leases{}}
	o = o.WithDefaults()
	sharer.goldens = sharer.node(o, "golden-fs")
	o.Linger = 0
	sharer.own = sharer.node(o, "own-fs")
	return sharer
}

func (s *Stager) node(o sharing.Options, name string) *sharing.Node[content] {
	dir := o.Dir(name)
	return sharing.NewNode[content](o, dir, backend{s, dir}, s.host, s.steps)
}

// Limit returns how many volumes the node can have staged; 0: no limit.
func (s *Stager) Limit() int64 { return s.mounter.Limit() }

// Stage mounts a volume. The record is read with the request's key even where
// all is in place: that proves the tenant's access each time.
func (s *Stager) Stage(ctx context.Context, at tenant.Place, st volume.Stage) error {
	rec, fsid, err := s.record(ctx, at, st)
	if err != nil {
		return err
	}
	if err := mayStage(rec, st); err != nil {
		return err
	}
	done, err := s.goldens.Holds.Use(ctx, st.ID.String())
	if err != nil {
		return err
	}
	defer done()
	if rec.ReadOnly && rec.Subvolume == "" {
		return s.stageContent(ctx, at, st, rec, fsid)
	}
	return s.stageWritable(ctx, at, st, rec, fsid)
}

func (s *Stager) record(ctx context.Context, at tenant.Place, st volume.Stage) (rec volumeRecord, fsid string, err error) {
	defer s.steps.Step("record")()
	name := volumePrefix + st.ID.Hash
	if st.ID.Backend != volume.CephFS {
		return rec, "", fmt.Errorf("volume %s is not one of backend %s: %w", st.ID, volume.CephFS, volume.ErrNotFound)
	}
	got, err := s.reader.Read(ctx, at, st.Credentials, name)
	if err != nil {
		return rec, "", fmt.Errorf("read the record of volume %s as %s: %w", st.ID, st.Credentials.User, err)
	}
	if err := record.Decode(name, got.Data, &rec); err != nil {
		return rec, "", err
	}
	if rec.State != record.Ready {
		return rec, "", fmt.Errorf("volume %s is in state %s: %w", st.ID, rec.State, volume.ErrNotFound)
	}
	return rec, got.FSID, rec.check(st.ID)
}

// mayStage compares the request with the record, which alone is trusted.
func mayStage(rec volumeRecord, st volume.Stage) error {
	switch {
	case st.Block:
		return fmt.Errorf("volume %s is a directory and no block volume: %w", st.ID, volume.ErrPrecondition)
	case rec.ReadOnly && !st.ReadOnly:
		return fmt.Errorf("volume %s is read-only and cannot be staged with a writer's access mode: use ReadOnlyMany: %w", st.ID, volume.ErrPrecondition)
	case st.FsType != "" && st.FsType != fsType:
		return fmt.Errorf("volume %s is of CephFS, the request asks for %.32q: %w", st.ID, st.FsType, volume.ErrPrecondition)
	}
	return nil
}

// target is a directory of the place's file system.
func target(at tenant.Place, fsid, root string, readOnly bool) (Target, error) {
	if at.Cluster().FileSystem == "" {
		return Target{}, fmt.Errorf("cluster %s has no fileSystem in the policy: %w", at.Cluster().ID, volume.ErrUnsupported)
	}
	return Target{
		Monitors: at.Cluster().Monitors, FSID: fsid, FileSystem: at.Cluster().FileSystem, Root: root, ReadOnly: readOnly,
	}, nil
}

// stageWritable mounts the volume's own content at the staging path: for
// writing with the key of its only writer, else with the tenant's.
func (s *Stager) stageWritable(ctx context.Context, at tenant.Place, st volume.Stage, rec volumeRecord, fsid string) error {
	readOnly := st.ReadOnly || rec.ReadOnly
	t, err := target(at, fsid, Root(at.Tenant(), rec.Subvolume)+"/"+rec.Directory, readOnly)
	if err != nil {
		return err
	}
	c := st.Credentials
	if !readOnly {
		if c, err = s.reader.Writer(ctx, at, st.Credentials, rec.Subvolume); err != nil {
			return fmt.Errorf("read the key that writes volume %s as %s: %w", st.ID, st.Credentials.User, err)
		}
	}
	return s.mount(ctx, t, st.Path, st.Options, c)
}

func (s *Stager) mount(ctx context.Context, t Target, path string, options []string, c volume.Credentials) error {
	defer s.steps.Step("mount")()
	return s.mounter.Mount(ctx, t, path, options, c)
}

// Unstage removes the mount and what served it alone. It begins wherever a
// killed one stopped.
func (s *Stager) Unstage(ctx context.Context, _ tenant.Place, id volume.ID, path string) error {
	done, err := s.goldens.Holds.Use(ctx, id.String())
	if err != nil {
		return err
	}
	defer done()
	for _, n := range s.nodes() {
		lower, err := n.Lower(ctx, path)
		if err != nil {
			return err
		}
		if lower != "" {
			return errors.Join(s.host.Unmount(ctx, path), n.Leave(ctx, lower))
		}
	}
	return s.mounter.Unmount(ctx, path)
}

func (s *Stager) nodes() []*sharing.Node[content] { return []*sharing.Node[content]{s.goldens, s.own} }

// Expand has nothing to do on a node: a volume's size is a quota that Ceph
// keeps.
func (s *Stager) Expand(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	return s.Shown(ctx, at, id, path)
}

// Shown says whether this node shows the volume at path, or with an empty path
// whether it shows it at all; volume.ErrNotFound when it does not.
func (s *Stager) Shown(ctx context.Context, _ tenant.Place, id volume.ID, path string) error {
	for _, n := range s.nodes() {
		if shows, err := n.Shows(ctx, id, path); err != nil || shows {
			return err
		}
	}
	rows, err := s.rows(ctx, path)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if isVolume(row, id) {
			return nil
		}
	}
	return fmt.Errorf("volume %s is not staged on this node at %q: %w", id, path, volume.ErrNotFound)
}

// rows are the mount at path, or all.
func (s *Stager) rows(ctx context.Context, path string) ([]volume.Mount, error) {
	if path == "" {
		return s.host.FileSystems(ctx)
	}
	row, err := s.host.Mounted(ctx, path)
	if errors.Is(err, volume.ErrNotFound) {
		return nil, nil
	}
	return []volume.Mount{row}, err
}
