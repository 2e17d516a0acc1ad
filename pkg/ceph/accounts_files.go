package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/ceph/go-ceph/cephfs/admin"
	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// groupsPath is the directory of all tenants' directories.
const groupsPath = "/volumes"

// quotaAttribute of a directory bounds what all below it has, in the eyes of
// those clients who may see the directory.
const quotaAttribute = "ceph.quota.max_bytes"

// makeGroup makes the tenant's directory. Present is success.
func (f FileSystem) makeGroup(ctx context.Context, at tenant.Place) error {
	return f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		return fsa.CreateSubVolumeGroup(fs, at.Tenant(), nil)
	})
}

// removeGroup removes the tenant's directory; volume.ErrInUse while there are
// subvolumes in it. Absent is success.
func (f FileSystem) removeGroup(ctx context.Context, at tenant.Place) error {
	return f.manage(ctx, at, func(fsa *admin.FSAdmin, fs string) error {
		err := absentIsDone(fsa.RemoveSubVolumeGroup(fs, at.Tenant()))
		if is(err, syscall.ENOTEMPTY) {
			return fmt.Errorf("subvolume group %s of file system %s has subvolumes: %w", at.Tenant(), fs, volume.ErrInUse)
		}
		return err
	})
}

// LimitFiles implements tenant.Namespaces.
func (c *Cluster) LimitFiles(ctx context.Context, at tenant.Place, bytes map[string]int64) error {
	t, err := NewFileSystem(c).open(ctx, at, groupsPath)
	if errors.Is(err, volume.ErrNotFound) {
		return nil // no tenant has a directory
	}
	if err != nil {
		return err
	}
	for name, limit := range bytes {
		err = t.mount.SetXattr("/"+name, quotaAttribute, []byte(strconv.FormatInt(limit, 10)), 0)
		if err = absentIsDone(err); err != nil {
			err = fmt.Errorf("limit %s/%s to %d bytes: %w", groupsPath, name, limit, classify(err))
			break
		}
	}
	return errors.Join(err, t.Close())
}

// pinAttribute of a directory keeps it with one metadata server.
const pinAttribute = "ceph.dir.pin"

// prepareGolden prepares the directories for a golden that is about to be
// written: room in the tenant's, and its own with the first metadata server.
// To no client of a pinned directory a server gives the sole rights to it, for
// which others would have to wait until the session of one that died ends.
func (f FileSystem) prepareGolden(ctx context.Context, at tenant.Place, name string, bytes int64) error {
	t, err := f.open(ctx, at, groupsPath)
	if err != nil {
		return err
	}
	group := "/" + at.Tenant()
	err = t.makeRoom(group, bytes)
	if err == nil {
		err = t.mount.SetXattr(group+"/"+subvolume(at.Tenant(), name), pinAttribute, []byte("0"), 0)
	}
	return errors.Join(classify(err), t.Close())
}

// makeRoom raises the limit of a tenant's directory, where it has one.
// LimitFiles sets what is right after that.
func (t *tree) makeRoom(group string, bytes int64) error {
	old, err := t.mount.GetXattr(group, quotaAttribute)
	if is(err, syscall.ENODATA) {
		return nil // no limit
	}
	if err != nil {
		return err
	}
	limit, _ := strconv.ParseInt(string(old), 10, 64)
	return t.mount.SetXattr(group, quotaAttribute, []byte(strconv.FormatInt(limit+bytes, 10)), 0)
}

// VolumeUsers implements tenant.VolumeUsers.
func (c *Cluster) VolumeUsers(ctx context.Context, at tenant.Place) (users []tenant.User, err error) {
	if at.Cluster().FileSystem == "" {
		return nil, nil
	}
	err = NewFileSystem(c).inKeys(ctx, at, func(ioctx *rados.IOContext) error {
		names, err := objects(ioctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			key, err := readWriterKey(ioctx, name)
			if is(err, syscall.ENOENT) {
				continue // it has gone meanwhile
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if u, ours := tenant.ParseUser(key.User); ours && u.Tenant == at.Tenant() && name == keyOf(u) {
				users = append(users, u)
			}
		}
		return nil
	})
	return users, about("list the users of volumes", at, keysSpace(at.Tenant()), err)
}

func objects(ioctx *rados.IOContext) (names []string, err error) {
	err = ioctx.ListObjects(func(name string) { names = append(names, name) })
	return names, err
}

// keyOf is the name of the object that has the key of a volume's user.
func keyOf(u tenant.User) string { return keyPrefix + subvolume(u.Tenant, u.Volume) }

func readWriterKey(ioctx *rados.IOContext, name string) (key writerKey, err error) {
	data, err := readObject(ioctx, name)
	if err != nil {
		return key, err
	}
	if json.Unmarshal(data, &key) != nil {
		// The decoder's error could quote the key.
		return writerKey{}, fmt.Errorf("it is damaged: %w", volume.ErrUnavailable)
	}
	return key, nil
}

// PutVolumeUser implements tenant.VolumeUsers.
func (c *Cluster) PutVolumeUser(ctx context.Context, at tenant.Place, u tenant.User) error {
	f := NewFileSystem(c)
	var key writerKey
	err := f.inKeys(ctx, at, func(ioctx *rados.IOContext) (err error) {
		key, err = readWriterKey(ioctx, keyOf(u))
		return err
	})
	if err == nil {
		key, err = f.makeWriter(ctx, at, u, key.Directory)
	}
	if err == nil {
		err = f.putKey(ctx, at, u, key, func(op *rados.WriteOp) { op.AssertExists() })
	}
	if errors.Is(err, volume.ErrNotFound) {
		// The volume has gone meanwhile, and its users with it: this one too.
		err = errors.Join(err, c.Remove(ctx, at, u))
	}
	return about("make user", at, u.String(), err)
}

// removeKeys removes what lies in the tenant's namespace of keys.
func (f FileSystem) removeKeys(ctx context.Context, at tenant.Place) error {
	return f.inKeys(ctx, at, func(ioctx *rados.IOContext) error {
		names, err := objects(ioctx)
		for _, name := range names {
			if err == nil {
				err = absentIsDone(ioctx.Delete(name))
			}
		}
		return err
	})
}

// isOfFiles says whether caps that makeWriter wrote are about the file system.
func isOfFiles(osd, fs string) bool {
	return fs != "" && strings.HasSuffix(osd, " tag cephfs data="+fs)
}
