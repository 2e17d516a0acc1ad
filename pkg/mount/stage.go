package mount

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Mount mounts device's file system on path, a directory that it makes.
// Mounted already from that device, with that file system and as writable, it
// stays as it is, whatever its other options are.
func (h *Host) Mount(ctx context.Context, device, path, fsType string, readOnly bool, options []string) error {
	s, err := parseSettings(fsType, readOnly, options)
	if err != nil {
		return err
	}
	number, err := blockNumber(device)
	if err != nil {
		return err
	}
	return h.change(ctx, path, makeEntry, func(e entry) error {
		if err := e.mkdir(); err != nil {
			return err
		}
		_, r, found, err := e.isMounted()
		switch {
		case err != nil:
			return err
		case !found:
			return attachDevice(e, device, fsType, s)
		case r.dev != number || r.fsType != fsType || r.readOnly() != readOnly:
			return conflict(path, r)
		}
		return nil
	})
}

// change runs fn on path's entry in path's turn.
func (h *Host) change(ctx context.Context, path string, open func(string) (entry, error), fn func(entry) error) error {
	e, err := open(path)
	if err != nil {
		return err
	}
	defer e.close()
	end, err := h.turns.take(ctx, e.path)
	if err != nil {
		return err
	}
	defer end()
	return fn(e)
}

func conflict(path string, r row) error {
	return fmt.Errorf("%s has %s (%s, %s) mounted on it: %w", path, r.source, r.fsType, r.flags, volume.ErrConflict)
}

// BindDevice makes the device visible at path, a file that it makes. A mount
// cannot make a device read-only: the device itself must be, which the mapper
// sees to. It is not made so here, under the feet of another opener.
func (h *Host) BindDevice(ctx context.Context, device, path string, readOnly bool) error {
	ro, err := isReadOnly(device)
	if err != nil {
		return err
	}
	if readOnly && !ro {
		return fmt.Errorf("device %s is writable and was to be shown read-only: %w", device, volume.ErrInUse)
	}
	from, err := openEntry(device)
	if err != nil {
		return err
	}
	defer from.close()
	return h.change(ctx, path, makeEntry, func(e entry) error { return bindNode(from, e) })
}

// bindNode binds a device's node over a file. The mount must not have nodev.
func bindNode(from, to entry) error {
	node, err := from.look()
	if err != nil {
		return err
	}
	s, r, found, err := to.isMounted()
	switch {
	case err != nil:
		return err
	case found && (!s.is(unix.S_IFBLK) || s.rdev != node.rdev):
		return conflict(to.path, r)
	case found:
		return nil
	}
	if err := to.touch(); err != nil {
		return err
	}
	return bind(from, to, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
}

// Unmount unmounts path, as often as it is mounted, and removes it if it is a
// file that BindDevice made. A directory stays. Absent or not mounted is
// success. A mount in use wraps volume.ErrInUse and stays: a lazy unmount
// would leave a device that cannot be unmapped behind a path that looks free.
func (h *Host) Unmount(ctx context.Context, path string) error {
	err := h.change(ctx, path, openEntry, func(e entry) error {
		if err := e.unmount(ctx); err != nil {
			return err
		}
		s, err := e.look()
		if err != nil || !s.isBindFile() {
			return err
		}
		return e.remove()
	})
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	return err
}

// isBindFile tells a file that BindDevice made from one of a volume's own,
// when a volume is mounted where the file's directory would be.
func (s shape) isBindFile() bool {
	return s.is(unix.S_IFREG) && s.size == 0 && s.mode&^unix.S_IFMT == bindMode
}

// unmount takes all mounts off the entry, topmost first.
func (e entry) unmount(ctx context.Context) error {
	for {
		s, err := e.look()
		if errors.Is(err, volume.ErrNotFound) || err == nil && !s.isMount {
			return nil
		}
		if err != nil {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("unmount %s: %w", e.path, err)
		}
		err = unix.Unmount(e.proc(), unix.UMOUNT_NOFOLLOW)
		switch {
		case errors.Is(err, unix.EBUSY):
			return fmt.Errorf("unmount %s: a process has a file open on it: %w: %w", e.path, err, volume.ErrInUse)
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			// Unmounted by somebody else since the look.
		case err != nil:
			return fmt.Errorf("unmount %s: %w: %w", e.path, err, volume.ErrUnavailable)
		}
	}
}
