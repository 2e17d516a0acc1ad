package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// inode tells files with several names.
type inode struct{ dev, ino uint64 }

// scanner makes a tree of a directory.
type scanner struct {
	tree     *Tree
	root     *os.Root
	preserve bool
	linked   map[inode]*node
}

// scanDirectory makes a tree of what is in dir. Contents stay there and are
// read when the image is.
func scanDirectory(ctx context.Context, dir string, preserve bool) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, local("open the directory to import", err)
	}
	s := &scanner{tree: newTree(), root: root, preserve: preserve, linked: map[inode]*node{}}
	s.tree.closers = append(s.tree.closers, root)
	info, err := root.Stat(".")
	if err == nil {
		s.own(s.tree.root, info)
		err = s.directory(ctx, ".", s.tree.root)
	}
	if err != nil {
		_ = root.Close()
		return nil, local("read the directory to import", err)
	}
	s.tree.finish()
	return s.tree, nil
}

// scanFile makes a tree of one file, which keeps its name.
func scanFile(ctx context.Context, path string, preserve bool) (*Tree, error) {
	// Links are followed here, and only here: the operator named this one.
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, local("open the file to import", err)
	}
	root, err := os.OpenRoot(filepath.Dir(target))
	if err != nil {
		return nil, local("open the file to import", err)
	}
	s := &scanner{tree: newTree(), root: root, preserve: preserve, linked: map[inode]*node{}}
	s.tree.closers = append(s.tree.closers, root)
	n, err := s.node(ctx, filepath.Base(target))
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	s.tree.root.add(filepath.Base(path), n)
	s.tree.finish()
	return s.tree, nil
}

func (s *scanner) directory(ctx context.Context, rel string, into *node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := s.root.Open(rel)
	if err != nil {
		return local("open "+rel, err)
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return local("list "+rel, err)
	}
	for _, name := range names {
		n, err := s.node(ctx, filepath.Join(rel, name))
		if err != nil {
			return err
		}
		into.add(name, n)
	}
	return nil
}

// node looks at one name and, where it is a directory, at all below.
func (s *scanner) node(ctx context.Context, rel string) (*node, error) {
	info, err := s.root.Lstat(rel)
	if err != nil {
		return nil, local("look at "+rel, err)
	}
	switch info.Mode().Type() {
	case 0:
		return s.file(rel, info)
	case fs.ModeDir:
		n := s.own(&node{kind: directory}, info)
		if err := s.tree.admit(n); err != nil {
			return nil, err
		}
		return n, s.directory(ctx, rel, n)
	case fs.ModeSymlink:
		return s.symlink(rel, info)
	}
	return nil, fmt.Errorf("%.256q is neither a file, a directory nor a symbolic link: a golden cannot have it: %w", rel, volume.ErrInvalid)
}

func (s *scanner) symlink(rel string, info fs.FileInfo) (*node, error) {
	target, err := s.root.Readlink(rel)
	if err != nil {
		return nil, local("read the link "+rel, err)
	}
	if err := checkLink(filepath.Dir(rel), filepath.Base(rel), target); err != nil {
		return nil, err
	}
	n := s.own(&node{kind: symlink, target: target}, info)
	return n, s.tree.admit(n)
}

func (s *scanner) file(rel string, info fs.FileInfo) (*node, error) {
	stat, _ := info.Sys().(*syscall.Stat_t)
	if stat != nil && stat.Nlink > 1 {
		if n, ok := s.linked[inode{stat.Dev, stat.Ino}]; ok {
			return n, nil
		}
	}
	n := s.own(&node{kind: file, size: info.Size()}, info)
	n.open = func() (io.ReadCloser, error) { return s.open(rel, info) }
	if stat != nil && stat.Nlink > 1 {
		s.linked[inode{stat.Dev, stat.Ino}] = n
	}
	return n, s.tree.admit(n)
}

// own gives a node its owner and permissions.
func (s *scanner) own(n *node, info fs.FileInfo) *node {
	n.perm = uint16(info.Mode().Perm())
	if !s.preserve {
		n.perm = plainPerm(n.kind, n.perm)
		return n
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		n.uid, n.gid = stat.Uid, stat.Gid
	}
	return n
}

// open opens a file that was looked at before, and no other one that took its
// name since. It does not wait on a pipe.
func (s *scanner) open(rel string, seen fs.FileInfo) (io.ReadCloser, error) {
	f, err := s.root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, local("open "+rel, err)
	}
	w := &watchedFile{File: f, rel: rel, seen: seen}
	if err := w.unchanged(); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// watchedFile is a source file that must not change while it is imported.
type watchedFile struct {
	*os.File
	rel  string
	seen fs.FileInfo
}

func (w *watchedFile) unchanged() error {
	now, err := w.Stat()
	if err != nil {
		return local("look at "+w.rel, err)
	}
	if !os.SameFile(now, w.seen) || now.Size() != w.seen.Size() || !now.ModTime().Equal(w.seen.ModTime()) {
		return fmt.Errorf("%.256q changed while it was imported: import again when nobody writes it: %w", w.rel, volume.ErrConflict)
	}
	return nil
}

// Read is File.Read, and at the end of the file the check that it is still
// the one that was looked at.
func (w *watchedFile) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	if errors.Is(err, io.EOF) {
		if changed := w.unchanged(); changed != nil {
			return n, changed
		}
	}
	return n, err
}
