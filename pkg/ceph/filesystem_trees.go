package ceph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"syscall"

	libcephfs "github.com/ceph/go-ceph/cephfs"
	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	files "github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// How files are copied.
const (
	copiers   = 8
	copyPiece = 4 << 20
)

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
		err = errors.Join(mount.SelectFilesystem(name), mount.MountWithRoot(root))
	}
	if err != nil {
		f.connections.release(s, isBroken(err))
		return nil, fmt.Errorf("mount %s of file system %s: %w", root, name, classify(err))
	}
	return &tree{mount: mount, root: root, release: func() { f.connections.release(s, false) }}, nil
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
	file, err := t.mount.Open("/"+e.Path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return inTree("make", e.Path, err)
	}
	_, err = io.CopyBuffer(writerOnly{file}, content, make([]byte, min(copyPiece, e.Size+1)))
	if err == nil {
		err = errors.Join(file.Fchown(e.UID, e.GID), file.Fchmod(uint32(e.Perm)), file.Fsync(libcephfs.SyncAll))
	}
	return inTree("write", e.Path, errors.Join(err, file.Close()))
}

// writerOnly hides what would let io.CopyBuffer do without its buffer.
type writerOnly struct{ io.Writer }

// Copy implements cephfs.Subvolumes. Owners, permissions and contents are
// copied; times are not, and a file with several names becomes several files.
func (f FileSystem) Copy(ctx context.Context, at tenant.Place, from cephfs.Snapshot, to string, read func(int64)) error {
	err := f.copy(ctx, at, from, to, read)
	return about("copy into subvolume", at, to, err)
}

func (f FileSystem) copy(ctx context.Context, at tenant.Place, from cephfs.Snapshot, to string, read func(int64)) error {
	source, err := f.open(ctx, at, cephfs.Root(from.Tenant, from.Subvolume))
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	directory, err := f.ImageID(ctx, at, to)
	if err != nil {
		return err
	}
	target, err := f.open(ctx, at, path.Join(cephfs.Root(at.Tenant(), to), directory))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	c := copier{ctx: ctx, from: source, to: target, top: path.Join("/.snap", from.Name, from.Directory), read: read, group: group}
	err = c.entry("")
	if failed := group.Wait(); failed != nil {
		err = failed // the reason why the walk was given up
	}
	return errors.Join(err, target.Close())
}

// copier copies a tree.
type copier struct {
	ctx      context.Context
	from, to *tree
	top      string // of what is copied
	read     func(int64)
	group    *errgroup.Group
}

// entry copies one name and, where it is a directory, all below.
func (c copier) entry(name string) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	st, err := c.from.mount.Statx(path.Join(c.top, name), libcephfs.StatxBasicStats, libcephfs.AtSymlinkNofollow)
	if err != nil {
		return inTree("look at", name, err)
	}
	e := files.Entry{Path: name, Perm: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Size: int64(st.Size)}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		c.group.Go(func() error { return c.file(e) })
		return nil
	case syscall.S_IFLNK:
		e.Kind = files.Symlink
		if e.Target, err = c.from.mount.Readlink(path.Join(c.top, name)); err != nil {
			return inTree("read the link", name, err)
		}
		return c.to.Make(e)
	case syscall.S_IFDIR:
		e.Kind = files.Directory
		return c.directory(e)
	}
	// Pipes, sockets and device nodes hold no data.
	return nil
}

func (c copier) directory(e files.Entry) error {
	if err := c.to.Make(e); err != nil {
		return err
	}
	dir, err := c.from.mount.OpenDir(path.Join(c.top, e.Path))
	if err != nil {
		return inTree("open", e.Path, err)
	}
	defer func() { _ = dir.Close() }()
	for {
		child, err := dir.ReadDir()
		if err != nil || child == nil {
			return inTree("list", e.Path, err)
		}
		if child.Name() == "." || child.Name() == ".." {
			continue
		}
		if err := c.entry(path.Join(e.Path, child.Name())); err != nil {
			return err
		}
	}
}

func (c copier) file(e files.Entry) error {
	file, err := c.from.mount.Open(path.Join(c.top, e.Path), syscall.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return inTree("open", e.Path, err)
	}
	defer func() { _ = file.Close() }()
	return c.to.Write(e, copied{c, file})
}

// copied is a file's content that tells what was read of it.
type copied struct {
	copier
	file *libcephfs.File
}

// Read implements io.Reader.
func (r copied) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.file.Read(p)
	r.read(int64(n))
	return n, err
}
