package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ceph is the file system of the kernel's client of CephFS, and stands for
// other clients too.
const ceph = "ceph"

// FileSystem is a file system that is on no device of this node.
type FileSystem struct {
	Type       string
	Source     string
	Parameters [][2]string // for the file system, in this order
	ReadOnly   bool
}

// MountFileSystem mounts a file system on path, a directory that it makes.
// Whatever is mounted there already wraps volume.ErrConflict: the caller has
// looked before. options are the class's mount options, as for Mount. It is
// done by the mount API on the caller's thread, whose keyring the file system
// may look into.
func (h *Host) MountFileSystem(ctx context.Context, f FileSystem, path string, options []string) error {
	s, err := parseSettings(ceph, f.ReadOnly, options)
	if err != nil {
		return err
	}
	return h.change(ctx, path, makeEntry, func(e entry) error {
		if err := e.mkdir(); err != nil {
			return err
		}
		if _, r, found, err := e.isMounted(); err != nil || found {
			return errors.Join(err, conflictIf(found, path, r))
		}
		fd, err := createFileSystem(f, s)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return attach(fd, e)
	})
}

func conflictIf(found bool, path string, r row) error {
	if !found {
		return nil
	}
	return conflict(path, r)
}

// createFileSystem returns a mount that is not attached anywhere yet. Its
// errors keep the kernel's number, whose meaning is the file system's.
func createFileSystem(f FileSystem, s settings) (int, error) {
	fs, err := unix.Fsopen(f.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open file system %s: %w", f.Type, err)
	}
	defer unix.Close(fs)
	err = f.configure(fs)
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return -1, withKernelLog(fs, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(s.attrs))
	if err != nil {
		return -1, withKernelLog(fs, err)
	}
	return fd, nil
}

func (f FileSystem) configure(fs int) error {
	if f.ReadOnly {
		if err := unix.FsconfigSetFlag(fs, "ro"); err != nil {
			return err
		}
	}
	for _, p := range append([][2]string{{"source", f.Source}}, f.Parameters...) {
		if err := f.set(fs, p[0], p[1]); err != nil {
			return fmt.Errorf("option %s: %w", p[0], err)
		}
	}
	return nil
}

func (f FileSystem) set(fs int, name, value string) error {
	if value == "" {
		return unix.FsconfigSetFlag(fs, name)
	}
	return unix.FsconfigSetString(fs, name, value)
}

// Knows says whether the kernel has a file system of that type which takes the
// parameter; volume.ErrUnsupported where it does not.
func (h *Host) Knows(fsType, name, value string) error {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("this kernel has no file system %s: %w: %w", fsType, err, volume.ErrUnsupported)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, name, value); err != nil {
		return fmt.Errorf("this kernel's file system %s does not know %s: %w: %w", fsType, name, err, volume.ErrUnsupported)
	}
	return nil
}

// Bind shows at `to`, a directory that it makes, what is mounted on from as well.
// Whatever is mounted there already wraps volume.ErrConflict. options are the
// class's, as for Mount. Unmounting from then is how a mount is moved: the kernel
// moves none that other namespaces see, too.
func (h *Host) Bind(ctx context.Context, from, to string, readOnly bool, options []string) error {
	s, err := parseSettings(ceph, readOnly, options)
	if err != nil {
		return err
	}
	source, err := openEntry(from)
	if err != nil {
		return err
	}
	defer source.close()
	return h.change(ctx, to, makeEntry, func(e entry) error {
		if err := e.mkdir(); err != nil {
			return err
		}
		if _, r, found, err := e.isMounted(); err != nil || found {
			return errors.Join(err, conflictIf(found, to, r))
		}
		return bind(source, e, s.attrs)
	})
}

// CheckOptions refuses mount options of a class that Bind and MountFileSystem
// would.
func CheckOptions(readOnly bool, options []string) error {
	_, err := parseSettings(ceph, readOnly, options)
	return err
}

// MakeDirectory makes path, whose way there has no symbolic link, a directory.
// One that is there is as good, whatever is mounted on it.
func (h *Host) MakeDirectory(ctx context.Context, path string) error {
	return h.change(ctx, path, makeEntry, entry.mkdir)
}

// answerPatience bounds the question whether a mount is dead: it is longer than
// a busy machine makes a living one wait.
const answerPatience = 30 * time.Second

// IsDead says whether what is mounted on path answers nothing any more: its
// server has ended, or it was shut down. It does not come back by itself. One
// that does not answer may answer yet: that wraps volume.ErrUnavailable.
func (h *Host) IsDead(ctx context.Context, path string) (bool, error) {
	return h.isDeadWithin(ctx, path, answerPatience)
}

func (h *Host) isDeadWithin(ctx context.Context, path string, patience time.Duration) (bool, error) {
	own, cancel := context.WithTimeoutCause(ctx, patience, volume.ErrUnavailable)
	defer cancel()
	_, err := h.Usage(own, path)
	switch {
	case err == nil, errors.Is(err, volume.ErrNotFound):
		return false, nil
	case isDead(err):
		return true, nil
	}
	return false, err
}

// Below returns what is in dir by its name, and what is mounted on each: the
// zero Mount where nothing is. Without dir there is nothing.
func (h *Host) Below(_ context.Context, dir string) (map[string]volume.Mount, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, walkError("read", dir, err)
	}
	rows, err := readTable()
	if err != nil {
		return nil, err
	}
	found := map[string]volume.Mount{}
	for _, n := range names {
		found[n.Name()] = volume.Mount{}
	}
	for _, r := range rows {
		if filepath.Dir(r.path) == filepath.Clean(dir) {
			found[filepath.Base(r.path)] = r.describe()
		}
	}
	return found, nil
}

// FileSystems returns what is mounted on this node, each mount once.
func (h *Host) FileSystems(context.Context) ([]volume.Mount, error) {
	rows, err := readTable()
	if err != nil {
		return nil, err
	}
	all := make([]volume.Mount, len(rows))
	for i, r := range rows {
		all[i] = r.describe()
	}
	return all, nil
}

func (r row) describe() volume.Mount {
	return volume.Mount{Device: r.source, FsType: r.fsType, ReadOnly: r.readOnly()}
}
