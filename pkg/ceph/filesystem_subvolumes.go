package ceph

import (
	"context"
	"fmt"
	"path"
	"strings"
	"syscall"

	"github.com/ceph/go-ceph/cephfs/admin"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// contentMode lets any user of a pod reach the content, whose own permissions
// then count.
const contentMode = 0o777

// subvolume is a subvolume as Ceph calls it.
func subvolume(tenant, name string) string { return tenant + "." + name }

// CreateSubvolume implements cephfs.Subvolumes. The manager makes what is
// missing, so an interrupted call is finished by the next.
func (f FileSystem) CreateSubvolume(ctx context.Context, at tenant.Place, name string, size int64) (directory string, err error) {
	var found string
	err = f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) (err error) {
		o := &admin.SubVolumeOptions{Size: admin.ByteCount(size), Mode: contentMode, NamespaceIsolated: true}
		err = fsa.CreateSubVolume(fs, at.Tenant(), subvolume(at.Tenant(), name), o)
		if is(err, syscall.ENOENT) {
			// It is the tenant's first. Present is success here, too.
			if err = fsa.CreateSubVolumeGroup(fs, at.Tenant(), nil); err == nil {
				err = fsa.CreateSubVolume(fs, at.Tenant(), subvolume(at.Tenant(), name), o)
			}
		}
		if err != nil {
			return err
		}
		found, err = fsa.SubVolumePath(fs, at.Tenant(), subvolume(at.Tenant(), name))
		return err
	})
	if err == nil && path.Dir(found) != cephfs.Root(at.Tenant(), name) {
		err = fmt.Errorf("it is at %s and not where it is expected: %w", found, volume.ErrUnsupported)
	}
	return path.Base(found), about("make subvolume", at, name, err)
}

// ResizeSubvolume implements cephfs.Subvolumes.
func (f FileSystem) ResizeSubvolume(ctx context.Context, at tenant.Place, name string, size int64) error {
	err := f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		_, err := fsa.ResizeSubVolume(fs, at.Tenant(), subvolume(at.Tenant(), name), admin.ByteCount(size), true)
		return err
	})
	return about("resize subvolume", at, name, err)
}

// RemoveSubvolume implements cephfs.Subvolumes. The manager moves it to its
// trash and empties that beside its requests.
func (f FileSystem) RemoveSubvolume(ctx context.Context, at tenant.Place, name string) error {
	err := f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		return absentIsDone(fsa.RemoveSubVolume(fs, at.Tenant(), subvolume(at.Tenant(), name)))
	})
	return about("remove subvolume", at, name, err)
}

// ListSubvolumes implements cephfs.Subvolumes.
func (f FileSystem) ListSubvolumes(ctx context.Context, at tenant.Place) (names []string, err error) {
	err = f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		all, err := fsa.ListSubVolumes(fs, at.Tenant())
		for _, full := range all {
			if name, ours := strings.CutPrefix(full, at.Tenant()+"."); ours {
				names = append(names, name)
			}
		}
		return absentIsDone(err)
	})
	return names, about("list subvolumes", at, "*", err)
}

// CreateSnapshot implements cephfs.Snapshots and golden.Images.
func (f FileSystem) CreateSnapshot(ctx context.Context, at tenant.Place, name, snapshot string) error {
	err := f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		err := fsa.CreateSubVolumeSnapshot(fs, at.Tenant(), subvolume(at.Tenant(), name), snapshot)
		if is(err, syscall.EEXIST) {
			return nil
		}
		return err
	})
	return about("take snapshot", at, name+"@"+snapshot, err)
}

// RemoveSnapshot implements cephfs.Snapshots and golden.Images.
func (f FileSystem) RemoveSnapshot(ctx context.Context, at tenant.Place, name, snapshot string) error {
	of := cephfs.Snapshot{Tenant: at.Tenant(), Subvolume: name, Name: snapshot}
	err := f.CloseReferences(ctx, at, of)
	if err == nil {
		err = f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
			return absentIsDone(fsa.RemoveSubVolumeSnapshot(fs, at.Tenant(), subvolume(at.Tenant(), name), snapshot))
		})
	}
	if err == nil {
		err = f.dropReferences(ctx, at, of)
	}
	return about("remove snapshot", at, name+"@"+snapshot, err)
}

// CreateImage implements golden.Images: a golden's image is a subvolume. It has
// no quota, for files are as large as they are, and the tenant's directory gets
// room for it.
func (f FileSystem) CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	if _, err := f.CreateSubvolume(ctx, at, name, 0); err != nil {
		return err
	}
	return about("prepare", at, name, f.prepareGolden(ctx, at, name, size))
}

// RemoveImage implements golden.Images.
func (f FileSystem) RemoveImage(ctx context.Context, at tenant.Place, name string) error {
	return f.RemoveSubvolume(ctx, at, name)
}

// ImageID implements golden.Images. It is the name of the directory that holds
// the content.
func (f FileSystem) ImageID(ctx context.Context, at tenant.Place, name string) (string, error) {
	var found string
	err := f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) (err error) {
		found, err = fsa.SubVolumePath(fs, at.Tenant(), subvolume(at.Tenant(), name))
		return err
	})
	return path.Base(found), about("look for subvolume", at, name, err)
}

// SnapshotID implements golden.Images. Snapshots of subvolumes are told by
// their names: their number is not asked for.
func (f FileSystem) SnapshotID(context.Context, tenant.Place, string, string) (uint64, error) {
	return 0, nil
}

// Children implements golden.Images. They are references here.
func (f FileSystem) Children(ctx context.Context, at tenant.Place, image, snapshot string) (int, error) {
	users, err := f.references(ctx, at, cephfs.Snapshot{Tenant: at.Tenant(), Subvolume: image, Name: snapshot}, maxChildren)
	return len(users), about("count the volumes of", at, image+"@"+snapshot, err)
}
