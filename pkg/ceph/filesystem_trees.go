package ceph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"syscall"

	libcephfs "github.com/ceph/go-ceph/cephfs"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	files "github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// copyPiece is how much of a file is written at once.
const copyPiece = 4 << 20

// tree is a directory of the file system, open with all rights. Nothing in it
// is followed: a symbolic link could lead anywhere.
type tree struct {
	mount   *libcephfs.MountInfo
	root    string
	release func()
}

// open opens a directory of the place's file system, as a client of its own.
func (f FileSystem) open(ctx context.Context, at tenant.Place, root string) (*tree, error) {
	name, err := fileSystemOf(at)
	if err != nil {
		return nil, err
	}
	s, err := f.connections.acquire(ctx, ownLogin(at.Cluster()))
	if err != nil {
		return nil, err
	}
	mount, err := libcephfs.CreateFromRados(s.conn.conn)
	if err == nil {
		err = errors.Join(mount.SelectFilesystem(name), actAsRoot(mount), mount.MountWithRoot(root))
	}
	if err != nil {
		f.connections.release(s, isBroken(err))
		return nil, fmt.Errorf("mount %s of file system %s: %w", root, name, classify(err))
	}
	return &tree{mount: mount, root: root, release: func() { f.connections.release(s, false) }}, nil
}

// actAsRoot has libcephfs ask as root, whose the directories are, whoever this
// process is: in Kubernetes the controllers run as nobody. What may be done is
// decided by the user's caps.
func actAsRoot(mount *libcephfs.MountInfo) error {
	return errors.Join(mount.SetConfigOption("client_mount_uid", "0"), mount.SetConfigOption("client_mount_gid", "0"))
}

// Close implements io.Closer. What was written is durable after it.
func (t *tree) Close() error {
	defer t.release()
	err := errors.Join(t.mount.SyncFs(), t.mount.Unmount(), t.mount.Release())
	return classify(err)
}

// OpenDirectory implements golden.Trees.
func (f FileSystem) OpenDirectory(ctx context.Context, at tenant.Place, name string) (golden.Directory, error) {
	directory, err := f.ImageID(ctx, at, name)
	if err != nil {
		return nil, err
	}
	t, err := f.open(ctx, at, path.Join(cephfs.Root(at.Tenant(), name), directory))
	if err != nil {
		return nil, about("open subvolume", at, name, err)
	}
	return t, nil
}

// OpenImage implements golden.Images. Nobody reads or writes a directory so.
func (f FileSystem) OpenImage(_ context.Context, at tenant.Place, name string) (golden.Image, error) {
	return nil, fmt.Errorf("subvolume %s in %s is no image: %w", name, at, volume.ErrInvalid)
}

// Make implements golden.Directory.
func (t *tree) Make(e files.Entry) error {
	name := "/" + e.Path
	var err error
	switch {
	case e.Kind == files.Symlink:
		err = t.mount.Symlink(e.Target, name)
	case e.Path != "":
		err = t.mount.MakeDir(name, 0o700)
	}
	if err == nil && e.Kind == files.Directory {
		err = t.mount.Chmod(name, uint32(e.Perm))
	}
	if err == nil {
		err = t.mount.Lchown(name, e.UID, e.GID)
	}
	return inTree("make", e.Path, err)
}

func inTree(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %.256q: %w", doing, name, classify(err))
}

// Write implements golden.Directory.
func (t *tree) Write(e files.Entry, content io.Reader) error {
	return t.write(e, content, func(*libcephfs.File) error { return nil })
}

// write lets finish give the file what is not in the entry.
func (t *tree) write(e files.Entry, content io.Reader, finish func(*libcephfs.File) error) error {
	file, err := t.mount.Open("/"+e.Path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return inTree("make", e.Path, err)
	}
	_, err = io.CopyBuffer(writerOnly{file}, content, make([]byte, min(copyPiece, e.Size+1)))
	if err == nil {
		err = errors.Join(file.Fchown(e.UID, e.GID), file.Fchmod(uint32(e.Perm)), file.Fsync(libcephfs.SyncAll))
	}
	if err == nil {
		err = finish(file)
	}
	return inTree("write", e.Path, errors.Join(err, file.Close()))
}

// writerOnly hides what would let io.CopyBuffer do without its buffer.
type writerOnly struct{ io.Writer }

// Entries implements golden.Directory.
func (t *tree) Entries(visit func(files.Entry) error) error {
	return t.walk("/", "", func(name string, st *libcephfs.CephStatx) error {
		e := files.Entry{Path: name, Perm: st.Mode & 0o777, UID: st.Uid, GID: st.Gid}
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			e.Size = int64(st.Size)
			e = e.With(func() (io.ReadCloser, error) { return t.reader(name) })
		case syscall.S_IFDIR:
			e.Kind = files.Directory
		case syscall.S_IFLNK:
			target, err := t.mount.Readlink("/" + name)
			if err != nil {
				return inTree("read the link", name, err)
			}
			e.Kind, e.Target = files.Symlink, target
		default:
			return fmt.Errorf("%.256q is no file, directory or link: %w", name, volume.ErrInvalid)
		}
		return visit(e)
	})
}

func (t *tree) reader(name string) (io.ReadCloser, error) {
	file, err := t.mount.Open("/"+name, syscall.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, inTree("open", name, err)
	}
	return file, nil
}

// walk calls visit for a name below top and, where it is a directory, for all
// below that, each directory before its entries and those in byte order.
func (t *tree) walk(top, name string, visit func(name string, st *libcephfs.CephStatx) error) error {
	st, err := t.mount.Statx(path.Join(top, name), libcephfs.StatxBasicStats, libcephfs.AtSymlinkNofollow)
	if err != nil {
		return inTree("look at", name, err)
	}
	if err := visit(name, st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return err
	}
	children, err := t.list(path.Join(top, name))
	if err != nil {
		return inTree("list", name, err)
	}
	for _, child := range children {
		if err := t.walk(top, path.Join(name, child), visit); err != nil {
			return err
		}
	}
	return nil
}

// list returns the names in a directory, in byte order.
func (t *tree) list(name string) (names []string, err error) {
	dir, err := t.mount.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	for {
		child, err := dir.ReadDir()
		if err != nil || child == nil {
			slices.Sort(names)
			return names, err
		}
		if child.Name() != "." && child.Name() != ".." {
			names = append(names, child.Name())
		}
	}
}
