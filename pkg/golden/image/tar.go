package image

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// unpacker makes a tree of a tar. No name of the tar ever becomes a name on
// this machine: contents stay where they are in a tar file, or go one after
// the other into one scratch file.
type unpacker struct {
	tree     *Tree
	tar      *tar.Reader
	preserve bool
	content  *os.File // the tar file itself, or the scratch file
	seekable bool
	spooled  int64
	room     int64 // bytes that the scratch file may have
	progress func(done int64)
}

// openTarFile makes a tree of a tar file. An uncompressed one needs no
// scratch space.
func openTarFile(ctx context.Context, name string, preserve bool, scratch *Scratch, progress func(int64)) (*Tree, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, local("open the tar to import", err)
	}
	var magic [2]byte
	if n, err := f.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) || n == 2 && isGzip(magic[:]) {
		defer f.Close()
		return openTarStream(ctx, f, preserve, scratch, progress)
	}
	u := &unpacker{tree: newTree(), tar: tar.NewReader(f), preserve: preserve, content: f, seekable: true, progress: progress}
	u.tree.closers = append(u.tree.closers, f)
	return u.unpack(ctx)
}

// openTarStream makes a tree of a tar that can be read once only, compressed
// by gzip or not. Its contents go into a scratch file.
func openTarStream(ctx context.Context, r io.Reader, preserve bool, scratch *Scratch, progress func(int64)) (*Tree, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, err
	}
	f, err := scratch.create("content")
	if err != nil {
		return nil, err
	}
	room, err := scratch.free()
	if err != nil {
		f.Close()
		return nil, err
	}
	u := &unpacker{tree: newTree(), tar: tar.NewReader(plain), preserve: preserve, content: f, room: room, progress: progress}
	u.tree.closers = append(u.tree.closers, f)
	return u.unpack(ctx)
}

func isGzip(magic []byte) bool { return magic[0] == 0x1f && magic[1] == 0x8b }

func decompress(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	magic, err := buffered.Peek(2)
	if err != nil || !isGzip(magic) {
		// Too short for a tar too; the tar reader says so.
		return buffered, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, badTar(err)
	}
	return plain, nil
}

func badTar(err error) error {
	return fmt.Errorf("read the tar: %w: %w", err, volume.ErrInvalid)
}

// unpack reads the tar to its end.
func (u *unpacker) unpack(ctx context.Context) (*Tree, error) {
	for {
		err := ctx.Err()
		var h *tar.Header
		if err == nil {
			h, err = u.tar.Next()
		}
		if errors.Is(err, io.EOF) {
			return u.done()
		}
		if err == nil {
			err = u.entry(ctx, h)
		} else if ctx.Err() == nil {
			err = badTar(err)
		}
		if err != nil {
			_ = u.tree.Close()
			return nil, err
		}
	}
}

func (u *unpacker) done() (*Tree, error) {
	if len(u.tree.root.entries) == 0 {
		_ = u.tree.Close()
		return nil, fmt.Errorf("the tar is empty: %w", volume.ErrInvalid)
	}
	u.tree.finish()
	return u.tree, nil
}

// entry takes one entry of the tar into the tree.
func (u *unpacker) entry(ctx context.Context, h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	parts, err := tarPath(h.Name)
	if err != nil {
		return err
	}
	if len(parts) == 0 { // «./»
		return u.own(u.tree.root, h)
	}
	dir, name := parts[:len(parts)-1], parts[len(parts)-1]
	parent, err := u.parent(dir)
	if err != nil {
		return err
	}
	n, err := u.node(ctx, h, parent.child(name), strings.Join(dir, "/"), name)
	if err != nil {
		return err
	}
	parent.add(name, n)
	return nil
}

// tarPath splits a name of a tar and refuses one that leads out.
func tarPath(name string) ([]string, error) {
	if len(name) > maxPath || strings.HasPrefix(name, "/") {
		return nil, fmt.Errorf("tar entry %.256q has an absolute or too long name: make the tar with relative names: %w", name, volume.ErrInvalid)
	}
	var parts []string
	for _, part := range strings.Split(name, "/") {
		if part == "" || part == "." {
			continue
		}
		if err := checkName(name, part); err != nil {
			return nil, fmt.Errorf("tar entry %w", err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// parent returns a directory of the tree, made where the tar left it out. It
// never follows a link.
func (u *unpacker) parent(parts []string) (*node, error) {
	at := u.tree.root
	for _, part := range parts {
		next := at.child(part)
		if next == nil {
			next = &node{kind: directory, perm: 0o755}
			if err := u.tree.admit(next); err != nil {
				return nil, err
			}
			at.add(part, next)
		}
		if next.kind != directory {
			return nil, fmt.Errorf("a tar entry lies below %.256q, which is no directory: %w", path.Join(parts...), volume.ErrInvalid)
		}
		at = next
	}
	return at, nil
}

// node makes what an entry says. old is what had the name before: a later
// entry wins, as tar programs have it.
func (u *unpacker) node(ctx context.Context, h *tar.Header, old *node, dir, name string) (*node, error) {
	isDir := h.Typeflag == tar.TypeDir
	if old != nil && (old.kind == directory) != isDir {
		return nil, fmt.Errorf("tar entry %.256q is there twice, once as a directory: %w", h.Name, volume.ErrInvalid)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if old != nil {
			return old, u.own(old, h)
		}
		return u.new(h, &node{kind: directory})
	case tar.TypeReg:
		return u.file(ctx, h)
	case tar.TypeSymlink:
		if err := checkLink(dir, name, h.Linkname); err != nil {
			return nil, fmt.Errorf("tar entry: %w", err)
		}
		return u.new(h, &node{kind: symlink, target: h.Linkname})
	case tar.TypeLink:
		return u.link(h)
	}
	return nil, fmt.Errorf("tar entry %.256q (type %q) is neither a file, a directory nor a link: a golden cannot have it: %w", h.Name, h.Typeflag, volume.ErrInvalid)
}

func (u *unpacker) new(h *tar.Header, n *node) (*node, error) {
	if err := u.own(n, h); err != nil {
		return nil, err
	}
	return n, u.tree.admit(n)
}

func (u *unpacker) own(n *node, h *tar.Header) error {
	n.perm = uint16(h.Mode & 0o777)
	if !u.preserve {
		n.perm = plainPerm(n.kind, n.perm)
		return nil
	}
	if h.Uid < 0 || h.Gid < 0 || int64(h.Uid) > 1<<32-2 || int64(h.Gid) > 1<<32-2 {
		return fmt.Errorf("tar entry %.256q has an owner out of range: %w", h.Name, volume.ErrInvalid)
	}
	n.uid, n.gid = uint32(h.Uid), uint32(h.Gid)
	return nil
}

// link gives an earlier file of the tar one more name.
func (u *unpacker) link(h *tar.Header) (*node, error) {
	parts, err := tarPath(h.Linkname)
	if err != nil {
		return nil, err
	}
	at := u.tree.root
	for _, part := range parts {
		if at = at.child(part); at == nil {
			break
		}
	}
	if at == nil || at.kind != file {
		return nil, fmt.Errorf("tar entry %.256q is a hard link to %.256q, which is no earlier file of the tar: %w", h.Name, h.Linkname, volume.ErrInvalid)
	}
	return at, nil
}

func (u *unpacker) file(ctx context.Context, h *tar.Header) (*node, error) {
	if isSparse(h) {
		return nil, fmt.Errorf("tar entry %.256q is stored sparse: make the tar without --sparse: %w", h.Name, volume.ErrInvalid)
	}
	start, err := u.locate(ctx, h)
	if err != nil {
		return nil, err
	}
	n := &node{kind: file, size: h.Size}
	n.open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(u.content, start, h.Size)), nil
	}
	return u.new(h, n)
}

func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// locate returns where a file's content begins in u.content.
func (u *unpacker) locate(ctx context.Context, h *tar.Header) (int64, error) {
	if u.seekable {
		start, err := u.content.Seek(0, io.SeekCurrent)
		return start, local("read the tar", err)
	}
	return u.spool(ctx, h)
}

// spool copies a file's content to the end of the scratch file. What an entry
// claims is held against the space before, so that a small bomb fills nothing.
func (u *unpacker) spool(ctx context.Context, h *tar.Header) (int64, error) {
	start := u.spooled
	if h.Size > u.room-start {
		return 0, fmt.Errorf("tar entry %.256q has %d bytes, the scratch directory room for %d: name another with --scratch: %w", h.Name, h.Size, u.room-start, volume.ErrNoSpace)
	}
	for left := h.Size; left > 0; {
		n, err := io.CopyN(u.content, u.tar, min(left, 8<<20))
		left -= n
		u.spooled += n
		u.progress(u.spooled)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, spoolError(err)
		}
	}
	return start, nil
}

// spoolError tells a broken tar from a full disk.
func spoolError(err error) error {
	var fault *os.PathError
	switch {
	case errors.As(err, &fault):
		return local("write the scratch file", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return badTar(err)
}
