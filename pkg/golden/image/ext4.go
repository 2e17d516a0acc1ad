package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// What an ext4 image is made of, apart from its content. All is fixed: what
// mke2fs would choose depends on its version, its configuration, the clock
// and chance.
const (
	ext4UUID     = "7364702d-6373-6940-8067-6f6c64656e32"
	ext4Features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super," +
		"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
	ext4Block = 4096
	ext4Inode = 256
)

// ext4Layout is how large the parts of an ext4 image are.
type ext4Layout struct {
	inodes  int64
	journal int64 // MiB
	size    int64 // bytes
}

// layout leaves 3 % for metadata and 32 MiB that a writable clone can use
// before it is expanded. A file with several names is as many files in ext4.
func (t *Tree) ext4Layout() ext4Layout {
	var l ext4Layout
	var data int64
	t.walkEntries(func(n *node) {
		l.inodes++
		data += (n.size + 2*ext4Block - 1) / ext4Block * ext4Block
	})
	l.inodes += l.inodes/4 + 1024
	l.journal = 16
	if data > 1<<30 {
		l.journal = 64
	}
	l.size = data + data/32 + l.inodes*ext4Inode + (l.journal+32)<<20
	l.size = (l.size + 4<<20 - 1) >> 22 << 22
	return l
}

// newExt4 makes the image in a scratch file by mke2fs, and fills it by
// debugfs, which takes names in our order and does not copy the owners,
// modes and times that `mke2fs -d` would.
func newExt4(ctx context.Context, t *Tree, scratch *Scratch) (*Image, error) {
	l := t.ext4Layout()
	if err := scratch.Need(l.size); err != nil {
		return nil, err
	}
	path, err := scratch.path("image")
	if err != nil {
		return nil, err
	}
	if err := makeExt4(ctx, path, l); err != nil {
		return nil, err
	}
	f := &filling{tree: t, scratch: scratch, files: map[*node]string{}}
	if err := f.fill(ctx, path); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) {
		file, err := os.Open(path)
		return file, local("open the ext4 image", err)
	}
	return &Image{FsType: Ext4, Size: l.size, open: open}, nil
}

func makeExt4(ctx context.Context, path string, l ext4Layout) error {
	_, err := run(ctx, "", "mke2fs", "-q", "-F", "-t", "ext4", "-b", strconv.Itoa(ext4Block), "-I", strconv.Itoa(ext4Inode),
		"-N", strconv.FormatInt(l.inodes, 10), "-m", "0", "-U", ext4UUID, "-O", ext4Features,
		"-J", "size="+strconv.FormatInt(l.journal, 10),
		"-E", "hash_seed="+ext4UUID+",root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard",
		path, strconv.FormatInt(l.size>>10, 10)+"k")
	return err
}

// filling gives debugfs the content.
type filling struct {
	tree    *Tree
	scratch *Scratch
	files   map[*node]string // contents by their names in the scratch directory
	linked  []*node          // those that are links to source files
}

func (f *filling) fill(ctx context.Context, image string) error {
	script, err := f.scratch.path("script")
	if err != nil {
		return err
	}
	err = f.tree.eachFile(func(n *node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f.stage(n)
	})
	if err != nil {
		return err
	}
	if err := f.writeScript(script); err != nil {
		return err
	}
	if err := debugfs(ctx, f.scratch.dir, script, image); err != nil {
		return err
	}
	return f.done()
}

// stage puts a file's content into the scratch directory under a number: a
// hard link where the source lies on the same file system, a copy elsewhere.
func (f *filling) stage(n *node) error {
	content, err := n.open()
	if err != nil {
		return err
	}
	defer content.Close()
	name := "f" + strconv.Itoa(len(f.files))
	f.files[n] = name
	path, err := f.scratch.path(name)
	if err != nil {
		return err
	}
	// The link is made of the open file: its name may be another file's by now.
	if w, ok := content.(*watchedFile); ok &&
		unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", w.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW) == nil {
		f.linked = append(f.linked, n)
		return nil
	}
	if err := f.scratch.Need(n.size); err != nil {
		return err
	}
	return f.copy(name, content, n.size)
}

func (f *filling) copy(name string, content io.Reader, size int64) error {
	to, err := f.scratch.create(name)
	if err != nil {
		return err
	}
	n, err := io.Copy(to, content)
	if closed := to.Close(); err == nil {
		err = closed
	}
	if err == nil && n != size {
		return fmt.Errorf("a file changed its size while it was imported: import again when nobody writes it: %w", volume.ErrConflict)
	}
	return local("copy a file to import", err)
}

// done looks whether linked sources are still what they were, and removes
// what only the script needed.
func (f *filling) done() error {
	for _, n := range f.linked {
		content, err := n.open()
		if err != nil {
			return err
		}
		content.Close()
	}
	for _, name := range f.files {
		path, err := f.scratch.path(name)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			return local("remove a scratch file", err)
		}
	}
	return nil
}
