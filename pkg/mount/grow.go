package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The kernel's requests to grow a mounted file system: EXT4_IOC_RESIZE_FS
// (Documentation/admin-guide/ext4.rst), XFS_IOC_FSGEOMETRY_V1 and
// XFS_IOC_FSGROWFSDATA (ioctl_xfs_fsgeometry(2)).
const (
	ext4Resize  = 0x40086610
	xfsGeometry = 0x80705864
	xfsGrow     = 0x4010586e
)

// Grow makes the file system on device, which is mounted on path, as large as
// the device. One that is large enough is left alone.
func (h *Host) Grow(ctx context.Context, device, path string) error {
	number, err := blockNumber(device)
	if err != nil {
		return err
	}
	return h.change(ctx, path, openEntry, func(e entry) error {
		_, r, err := e.mounted()
		if err != nil {
			return err
		}
		if r.dev != number || r.readOnly() {
			return fmt.Errorf("%s is not mounted on %s for writing: %w", device, path, volume.ErrInvalid)
		}
		switch r.fsType {
		case ext4:
			return h.growExt4(ctx, e, r, device)
		case xfs:
			return growXFS(e, device)
		}
		return fmt.Errorf("%s has an %s file system, which cannot grow: %w", device, r.fsType, volume.ErrInvalid)
	})
}

func (h *Host) growExt4(ctx context.Context, e entry, r row, device string) error {
	want, err := ext4Wants(device)
	if err != nil || want == 0 {
		return err
	}
	err = e.request(ext4Resize, unsafe.Pointer(&want))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return h.growUnmounted(ctx, e, r, device)
	}
	return growError(device, err)
}

// ext4Wants returns how many blocks the file system on device is to have; 0
// when it has them.
func ext4Wants(device string) (uint64, error) {
	f, err := openDevice(device)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return 0, err
	}
	have, err := readExt4(f)
	if err != nil {
		return 0, fmt.Errorf("inspect %s: %w", device, err)
	}
	if want := have.fits(size); want > have.blocks {
		return want, nil
	}
	return 0, nil
}

// growUnmounted grows an ext4 file system where the process has no
// CAP_SYS_RESOURCE, without which the kernel does not do it: unmounted, by
// resize2fs, when nothing but the staging path shows it. Such a process is
// not a node's usual one; killed in resize2fs, it leaves a damaged file system.
func (h *Host) growUnmounted(ctx context.Context, e entry, r row, device string) error {
	users, err := h.Users(ctx, device)
	if err != nil {
		return err
	}
	if users > 1 {
		return fmt.Errorf("grow %s, which is published: the driver needs CAP_SYS_RESOURCE: %w", device, volume.ErrUnsupported)
	}
	s := settings{attrs: r.attrs()}
	if hasOption(r.options, "discard") {
		s.words = []string{"discard"}
	}
	if err := e.unmount(ctx); err != nil {
		return err
	}
	err = run(ctx, []string{"resize2fs", "-f", device})
	return errors.Join(err, attachDevice(e, device, ext4, s))
}

// geometry is the kernel's struct xfs_fsop_geom_v1.
type geometry struct {
	blockSize uint32
	_         [6]uint32
	maxInodes uint32 // percent
	blocks    uint64
	_         [72]byte
}

// growth is the kernel's struct xfs_growfs_data.
type growth struct {
	blocks    uint64
	maxInodes uint32
	_         uint32
}

func growXFS(e entry, device string) error {
	var have geometry
	if err := e.request(xfsGeometry, unsafe.Pointer(&have)); err != nil {
		return growError(device, err)
	}
	f, err := openDevice(device)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return err
	}
	want := growth{blocks: uint64(size) / uint64(have.blockSize), maxInodes: have.maxInodes}
	if want.blocks <= have.blocks {
		return nil
	}
	if err := e.request(xfsGrow, unsafe.Pointer(&want)); err != nil {
		return growError(device, err)
	}
	return nil
}

// request makes an ioctl on the root of what is mounted on the entry.
func (e entry) request(number uintptr, argument unsafe.Pointer) error {
	fd, err := unix.Openat(e.dir, e.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), e.path)
	defer f.Close()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

func growError(device string, err error) error {
	return fmt.Errorf("grow the file system on %s: %w: %w", device, err, volume.ErrUnavailable)
}
