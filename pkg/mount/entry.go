package mount

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// parentMode is for directories above a target: the kubelet's own mode.
const parentMode = 0o750

// entry is a name in a directory that is held open, so that nobody can put a
// symbolic link in the way between two calls. The name itself is not held: an
// open file on a mount would keep it from being unmounted.
type entry struct {
	dir  int
	name string
	path string // for messages
}

// openEntry finds path's directory; ErrNotFound without one, ErrInvalid when a
// symbolic link is on the way. The name may be absent.
func openEntry(path string) (entry, error) {
	return lookEntry(path, openDir)
}

// makeEntry is openEntry and makes the directories that are missing.
func makeEntry(path string) (entry, error) {
	return lookEntry(path, makeDir)
}

func lookEntry(path string, open func(string) (int, error)) (entry, error) {
	clean := filepath.Clean(path)
	if !filepath.IsAbs(clean) || clean == "/" {
		return entry{}, fmt.Errorf("%.256q is not an absolute path below /: %w", path, volume.ErrInvalid)
	}
	dir, err := open(filepath.Dir(clean))
	if err != nil {
		return entry{}, err
	}
	return entry{dir: dir, name: filepath.Base(clean), path: clean}, nil
}

func openDir(path string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return -1, walkError("open", path, err)
	}
	return fd, nil
}

// makeDir makes path as far as it is missing.
func makeDir(path string) (int, error) {
	fd, err := openDir(path)
	if !errors.Is(err, unix.ENOENT) || path == "/" {
		return fd, err
	}
	e, err := makeEntry(path)
	if err != nil {
		return -1, err
	}
	defer e.close()
	if err := e.mkdir(); err != nil {
		return -1, err
	}
	return openDir(path)
}

// walkError gives what stopped a walk a meaning.
func walkError(verb, path string, err error) error {
	meaning := volume.ErrUnavailable
	switch {
	case errors.Is(err, unix.ENOENT):
		meaning = volume.ErrNotFound
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%s %s: a symbolic link is on the way, name the real path: %w: %w", verb, path, err, volume.ErrInvalid)
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.EINVAL):
		meaning = volume.ErrInvalid
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%s %s: this kernel is older than Linux 5.8: %w: %w", verb, path, err, volume.ErrUnsupported)
	}
	return fmt.Errorf("%s %s: %w: %w", verb, path, err, meaning)
}

func (e entry) close() { _ = unix.Close(e.dir) }

// proc is a path that leads to the entry wherever its directory is moved, for
// system calls that know no directory descriptor.
func (e entry) proc() string { return "/proc/self/fd/" + strconv.Itoa(e.dir) + "/" + e.name }

// shape is what statx shows of an entry.
type shape struct {
	mode    uint32 // type and permissions
	size    uint64
	dev     uint64 // of its file system
	rdev    uint64 // which device it is the node of
	mountID uint64
	isMount bool // it is the root of a mount
}

func (s shape) is(kind uint32) bool { return s.mode&unix.S_IFMT == kind }

// look returns the entry's shape without waking a file system up that does
// not answer; ErrNotFound when it is absent.
func (e entry) look() (shape, error) {
	var st unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_DONT_SYNC
	err := unix.Statx(e.dir, e.name, flags, unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_SIZE|unix.STATX_MNT_ID, &st)
	switch {
	case isDead(err):
		return e.lookTable(err)
	case err != nil:
		return shape{}, walkError("look at", e.path, err)
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return shape{}, walkError("look at", e.path, unix.ENOSYS)
	}
	return shape{
		mode: uint32(st.Mode), size: st.Size, mountID: st.Mnt_id,
		dev: unix.Mkdev(st.Dev_major, st.Dev_minor), rdev: unix.Mkdev(st.Rdev_major, st.Rdev_minor),
		isMount: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}, nil
}

// isDead tells the answers of a file system that was shut down, or whose
// server died.
func isDead(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ESTALE) ||
		errors.Is(err, unix.ESHUTDOWN) || errors.Is(err, unix.ECONNABORTED)
}

// lookTable is look for a mount that answers nothing any more, and is still to
// be unmounted.
func (e entry) lookTable(cause error) (shape, error) {
	rows, err := readTable()
	if err != nil {
		return shape{}, err
	}
	for _, r := range slices.Backward(rows) {
		if r.path == e.path {
			return shape{mode: unix.S_IFDIR, dev: r.dev, mountID: uint64(r.id), isMount: true}, nil
		}
	}
	return shape{}, walkError("look at", e.path, cause)
}

// mkdir makes the entry a directory. One that is there is as good.
func (e entry) mkdir() error {
	err := unix.Mkdirat(e.dir, e.name, parentMode)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return walkError("make directory", e.path, err)
	}
	return e.mustBe(unix.S_IFDIR, "a directory")
}

// bindMode marks a file that was made to have a device bound over it.
const bindMode = 0

// touch makes the entry an empty file. One that is there is as good.
func (e entry) touch() error {
	fd, err := unix.Openat(e.dir, e.name, unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_RDONLY, bindMode)
	if err == nil {
		return unix.Close(fd)
	}
	if !errors.Is(err, unix.EEXIST) {
		return walkError("make file", e.path, err)
	}
	return e.mustBe(unix.S_IFREG, "a file")
}

func (e entry) mustBe(kind uint32, noun string) error {
	s, err := e.look()
	switch {
	case err != nil:
		return err
	case s.is(unix.S_IFLNK):
		return walkError("use", e.path, unix.ELOOP)
	case !s.is(kind):
		return fmt.Errorf("%s is there and is not %s: %w", e.path, noun, volume.ErrConflict)
	}
	return nil
}

// remove removes an empty directory or an empty file, and nothing else.
func (e entry) remove() error {
	s, err := e.look()
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return nil
	case err != nil:
		return err
	case s.is(unix.S_IFDIR):
		err = unix.Unlinkat(e.dir, e.name, unix.AT_REMOVEDIR)
	case s.is(unix.S_IFREG) && s.size == 0:
		err = unix.Unlinkat(e.dir, e.name, 0)
	case s.is(unix.S_IFLNK):
		return walkError("remove", e.path, unix.ELOOP)
	default:
		err = unix.ENOTEMPTY
	}
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%s is not mounted and has content of its own, which is left alone: move it away: %w", e.path, volume.ErrInUse)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("remove %s: %w: %w", e.path, err, volume.ErrInUse)
	}
	return walkError("remove", e.path, err)
}
