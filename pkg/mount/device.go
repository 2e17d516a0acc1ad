package mount

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// devicePath returns the node of a block device, as the kernel names it; empty
// when the number is not a block device's.
func devicePath(dev uint64) string {
	if unix.Major(dev) == 0 {
		return ""
	}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(dev), unix.Minor(dev)))
	if err != nil {
		return ""
	}
	return "/dev/" + filepath.Base(link)
}

// openDevice opens a block device.
func openDevice(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV):
		return nil, fmt.Errorf("open device %s: %w: %w", path, err, volume.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("open device %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	st, err := f.Stat()
	if err == nil && st.Mode()&(os.ModeDevice|os.ModeCharDevice) != os.ModeDevice {
		err = fmt.Errorf("%s is not a block device: %w", path, volume.ErrInvalid)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// isReadOnly returns the device's own flag, which holds for every opener.
func isReadOnly(path string) (bool, error) {
	f, err := openDevice(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	ro, err := unix.IoctlGetUint32(int(f.Fd()), unix.BLKROGET)
	if err != nil {
		return false, fmt.Errorf("ask whether %s is read-only: %w: %w", path, err, volume.ErrUnavailable)
	}
	return ro != 0, nil
}

// blockNumber returns the number of a block device.
func blockNumber(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, walkError("look at device", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, fmt.Errorf("%s is not a block device: %w", path, volume.ErrInvalid)
	}
	return st.Rdev, nil
}

// sizeOf returns how many bytes an open device has.
func sizeOf(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("ask for the size of %s: %w: %w", f.Name(), err, volume.ErrUnavailable)
	}
	return size, nil
}
