package ceph

import (
	"context"
	"errors"
	"path"
	"strings"
	"syscall"

	libcephfs "github.com/ceph/go-ceph/cephfs"
	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	files "github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// copiers is how many files of a volume are copied at once.
const copiers = 8

// userXattrs begins the names of the extended attributes that are copied.
const userXattrs = "user."

// Copy implements cephfs.Subvolumes. Owners, permissions, contents, hard links,
// users' extended attributes and modification times are copied. Symbolic links
// have the time of the copy, and pipes, sockets and device nodes are left out.
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
	c := copier{
		from: source, to: target, top: path.Join("/.snap", from.Name, from.Directory), read: read,
		first: map[libcephfs.Inode]string{}, times: map[string]libcephfs.Timespec{},
	}
	return errors.Join(c.all(ctx), target.Close())
}

// copier copies a tree.
type copier struct {
	ctx      context.Context
	from, to *tree
	top      string // of what is copied
	read     func(int64)
	group    *errgroup.Group

	first map[libcephfs.Inode]string    // the first name of a file with several
	links [][2]string                   // names of files, and more names of them
	times map[string]libcephfs.Timespec // of directories
}

// all copies the tree: first what has contents of its own, then the further
// names of files, and the directories' times when nothing more is made in them.
func (c *copier) all(ctx context.Context) error {
	c.group, c.ctx = errgroup.WithContext(ctx)
	c.group.SetLimit(copiers)
	err := c.from.walk(c.top, "", c.entry)
	if failed := c.group.Wait(); failed != nil {
		err = failed // the reason why the walk was given up
	}
	if err != nil {
		return err
	}
	for _, names := range c.links {
		if err := c.to.mount.Link("/"+names[0], "/"+names[1]); err != nil {
			return inTree("link", names[1], err)
		}
	}
	for name, modified := range c.times {
		if err := c.touch(name, modified); err != nil {
			return inTree("set the time of", name, err)
		}
	}
	return nil
}

// touch sets a directory's time.
func (c *copier) touch(name string, modified libcephfs.Timespec) error {
	dir, err := c.to.mount.Open("/"+name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(dir.Futimens([]libcephfs.Timespec{modified, modified}), dir.Close())
}

// entry copies one name.
func (c *copier) entry(name string, st *libcephfs.CephStatx) (err error) {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	e := files.Entry{Path: name, Perm: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Size: int64(st.Size)}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		c.regular(e, st)
	case syscall.S_IFLNK:
		e.Kind = files.Symlink
		if e.Target, err = c.from.mount.Readlink(path.Join(c.top, name)); err != nil {
			return inTree("read the link", name, err)
		}
		return c.to.Make(e)
	case syscall.S_IFDIR:
		e.Kind = files.Directory
		c.times[name] = st.Mtime
		if err := c.to.Make(e); err != nil {
			return err
		}
		return inTree("copy the attributes of", name, c.xattrs(name, func(attribute string, value []byte) error {
			return c.to.mount.SetXattr("/"+name, attribute, value, libcephfs.XattrDefault)
		}))
	}
	// Pipes, sockets and device nodes hold no data.
	return nil
}

// regular copies a file beside the walk, or notes one more name of it.
func (c *copier) regular(e files.Entry, st *libcephfs.CephStatx) {
	if st.Nlink > 1 {
		if first, ok := c.first[st.Inode]; ok {
			c.links = append(c.links, [2]string{first, e.Path})
			return
		}
		c.first[st.Inode] = e.Path
	}
	c.group.Go(func() error { return c.file(e, st.Mtime) })
}

func (c *copier) file(e files.Entry, modified libcephfs.Timespec) error {
	file, err := c.from.mount.Open(path.Join(c.top, e.Path), syscall.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return inTree("open", e.Path, err)
	}
	defer func() { _ = file.Close() }()
	return c.to.write(e, copied{c, file}, func(to *libcephfs.File) error {
		err := c.xattrs(e.Path, func(name string, value []byte) error { return to.SetXattr(name, value, libcephfs.XattrDefault) })
		return errors.Join(err, to.Futimens([]libcephfs.Timespec{modified, modified}))
	})
}

// xattrs gives set the users' extended attributes of a name.
func (c *copier) xattrs(name string, set func(name string, value []byte) error) error {
	from := path.Join(c.top, name)
	attributes, err := c.from.mount.LlistXattr(from)
	if err != nil {
		return err
	}
	for _, attribute := range attributes {
		if !strings.HasPrefix(attribute, userXattrs) {
			continue
		}
		value, err := c.from.mount.LgetXattr(from, attribute)
		if err != nil {
			return err
		}
		if err := set(attribute, value); err != nil {
			return err
		}
	}
	return nil
}

// copied is a file's content that tells what was read of it.
type copied struct {
	*copier
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
