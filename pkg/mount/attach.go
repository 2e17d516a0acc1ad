package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// attachDevice mounts a device's file system on the entry. With the mount API
// the mount is complete before it is seen: a kill leaves all or nothing.
func attachDevice(e entry, device, fsType string, s settings) error {
	fd, err := createMount(device, fsType, s)
	if errors.Is(err, unix.ENOSYS) {
		return attachDeviceOld(e, device, fsType, s)
	}
	if err != nil {
		return mountError(device, e.path, err)
	}
	defer unix.Close(fd)
	return attach(fd, e)
}

// createMount returns a mount that is not attached anywhere yet.
func createMount(device, fsType string, s settings) (int, error) {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := configure(fs, device, s); err != nil {
		return -1, withKernelLog(fs, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(s.attrs))
	if err != nil {
		return -1, withKernelLog(fs, err)
	}
	return fd, nil
}

func configure(fs int, device string, s settings) error {
	if err := unix.FsconfigSetString(fs, "source", device); err != nil {
		return err
	}
	words := s.words
	if s.readOnly {
		words = append([]string{"ro"}, words...)
	}
	for _, w := range words {
		if err := unix.FsconfigSetFlag(fs, w); err != nil {
			return fmt.Errorf("option %s: %w", w, err)
		}
	}
	return unix.FsconfigCreate(fs)
}

// withKernelLog adds what the file system says about a failure.
func withKernelLog(fs int, err error) error {
	buf := make([]byte, 256)
	n, readErr := unix.Read(fs, buf)
	if readErr != nil || n < 2 {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimSpace(string(buf[2:n])), err)
}

// attach shows a mount at the entry, without following a symbolic link.
func attach(fd int, e entry) error {
	if err := unix.MoveMount(fd, "", e.dir, e.name, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return mountError("a mount", e.path, err)
	}
	return nil
}

// attachDeviceOld is attachDevice by mount(2).
func attachDeviceOld(e entry, device, fsType string, s settings) error {
	target, err := e.hold()
	if err != nil {
		return err
	}
	defer target.Close()
	err = unix.Mount(device, procPath(target), fsType, legacyFlags(s.attrs), strings.Join(s.words, ","))
	if err != nil {
		return mountError(device, e.path, err)
	}
	return nil
}

// hold opens the entry itself, for system calls that would follow a link.
func (e entry) hold() (*os.File, error) {
	fd, err := unix.Openat(e.dir, e.name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, walkError("open", e.path, err)
	}
	return os.NewFile(uintptr(fd), e.path), nil
}

func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// bind shows what is mounted at from at to as well, with attrs added. The bind
// is private, so that nothing that is mounted inside it later reaches the
// staging path and, through that, other pods.
func bind(from, to entry, attrs uint64) error {
	fd, err := cloneMount(from, attrs)
	if errors.Is(err, unix.ENOSYS) {
		return bindOld(from, to, attrs)
	}
	if err != nil {
		return mountError(from.path, to.path, err)
	}
	defer unix.Close(fd)
	return attach(fd, to)
}

func cloneMount(from entry, attrs uint64) (int, error) {
	const flags = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	fd, err := unix.OpenTree(from.dir, from.name, flags)
	if err != nil {
		return -1, err
	}
	change := unix.MountAttr{Attr_set: attrs, Propagation: unix.MS_PRIVATE}
	if attrs&unix.MOUNT_ATTR__ATIME != 0 {
		// Access times are one choice of several: the former one must go.
		change.Attr_clr = unix.MOUNT_ATTR__ATIME
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &change); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// canSetAttr says whether the kernel changes a mount before it is seen.
func canSetAttr() bool {
	return !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}

// bindOld is bind by mount(2), which takes several steps: a kill may leave a
// bind without attrs, which restrict finishes.
func bindOld(from, to entry, attrs uint64) error {
	target, err := to.hold()
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Mount(from.proc(), procPath(target), "", unix.MS_BIND, ""); err != nil {
		return mountError(from.path, to.path, err)
	}
	return restrict(to, attrs)
}

// restrict adds attrs to the mount on the entry, in the older way.
func restrict(e entry, attrs uint64) error {
	_, r, err := e.mounted()
	if err != nil {
		return err
	}
	flags := legacyFlags(r.attrs()|attrs) | unix.MS_REMOUNT | unix.MS_BIND
	if err := unix.Mount("", e.proc(), "", flags, ""); err != nil {
		return mountError("flags", e.path, err)
	}
	if err := unix.Mount("", e.proc(), "", unix.MS_PRIVATE, ""); err != nil {
		return mountError("propagation", e.path, err)
	}
	return nil
}

// mountError gives the kernel's answer a meaning.
func mountError(what, path string, err error) error {
	meaning := volume.ErrUnavailable
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("mount %s on %s: it is mounted elsewhere in another way: %w: %w", what, path, err, volume.ErrInUse)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EROFS):
		return fmt.Errorf("mount %s on %s: the device is read-only: %w: %w", what, path, err, volume.ErrInUse)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("mount %s on %s: this kernel does not know the file system: %w: %w", what, path, err, volume.ErrUnsupported)
	case errors.Is(err, unix.EINVAL):
		meaning = volume.ErrInvalid
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO):
		meaning = volume.ErrNotFound
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("mount %s on %s: the driver needs CAP_SYS_ADMIN: %w: %w", what, path, err, volume.ErrUnsupported)
	}
	return fmt.Errorf("mount %s on %s: %w: %w", what, path, err, meaning)
}
