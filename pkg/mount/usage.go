package mount

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Usage tells how full the volume mounted or bound at path is. A block volume
// may be named by its staging directory. One device is asked once at a time:
// later calls wait for the first one's answer, so that a device that never
// answers costs one thread, not one per call.
func (h *Host) Usage(ctx context.Context, path string) (volume.Usage, error) {
	path, s, err := findVolume(path)
	if err != nil {
		return volume.Usage{}, err
	}
	answer := h.probes.DoChan(s.device(), func() (any, error) { return measure(path, s) })
	select {
	case a := <-answer:
		u, _ := a.Val.(volume.Usage)
		return u, a.Err
	case <-ctx.Done():
		return volume.Usage{}, fmt.Errorf("%s does not answer: %w", path, context.Cause(ctx))
	}
}

// device names what a shape's answers depend on.
func (s shape) device() string {
	if s.is(unix.S_IFBLK) {
		return fmt.Sprintf("block %d", s.rdev)
	}
	return fmt.Sprintf("files %d", s.dev)
}

// findVolume returns where at path a volume is mounted or bound.
func findVolume(path string) (string, shape, error) {
	s, err := lookMount(path)
	if !errors.Is(err, volume.ErrNotFound) {
		return path, s, err
	}
	node := filepath.Join(path, volume.StagedDevice)
	if s, nodeErr := lookMount(node); nodeErr == nil {
		return node, s, nil
	}
	return path, s, err
}

func lookMount(path string) (shape, error) {
	e, err := openEntry(path)
	if err != nil {
		return shape{}, err
	}
	defer e.close()
	s, err := e.look()
	if err == nil && !s.isMount {
		err = fmt.Errorf("nothing is mounted on %s: %w", path, volume.ErrNotFound)
	}
	return s, err
}

func measure(path string, s shape) (volume.Usage, error) {
	if s.is(unix.S_IFBLK) {
		return measureDevice(devicePath(s.rdev))
	}
	e, err := openEntry(path)
	if err != nil {
		return volume.Usage{}, err
	}
	defer e.close()
	var st unix.Statfs_t
	if err := unix.Statfs(e.proc(), &st); err != nil {
		return volume.Usage{}, fmt.Errorf("ask how full %s is: %w: %w", path, err, volume.ErrUnavailable)
	}
	if s.is(unix.S_IFDIR) {
		if err := peek(e.proc()); err != nil {
			return volume.Usage{}, fmt.Errorf("read %s: %w: %w", path, err, volume.ErrUnavailable)
		}
	}
	return usageOf(st), nil
}

// peek reads the beginning of a directory. A client that Ceph has shut out still
// tells how full the cluster is, and reads nothing any more.
func peek(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.ReadDirent(fd, make([]byte, 4096))
	return err
}

func measureDevice(path string) (volume.Usage, error) {
	f, err := openDevice(path)
	if err != nil {
		return volume.Usage{}, err
	}
	defer f.Close()
	size, err := sizeOf(f)
	return volume.Usage{Block: true, Total: size}, err
}

// usageOf leaves out what a file system does not count: EROFS answers with
// 2^64-1 inodes, of which -3 are free.
func usageOf(st unix.Statfs_t) volume.Usage {
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	free := amount(st.Bfree, unit)
	u := volume.Usage{Total: amount(st.Blocks, unit), Available: amount(st.Bavail, unit)}
	u.Used = max(0, u.Total-free)
	if inodes := amount(st.Files, 1); inodes > 0 {
		u.Inodes, u.InodesFree = inodes, min(inodes, amount(st.Ffree, 1))
		u.InodesUsed = u.Inodes - u.InodesFree
	}
	return u
}

// amount is n units; 0 where that is no number that a file system can mean.
func amount(n uint64, unit int64) int64 {
	if unit <= 0 || n > math.MaxInt64/uint64(unit) {
		return 0
	}
	return int64(n) * unit
}
