package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The properties of a mapping's loop device.
const (
	// sector is the block size that every file system can be on: an XFS made
	// with 512-byte sectors cannot be on a device of larger blocks.
	sector = 512
	// readAheadKB keeps several objects in flight for one reader of a file.
	readAheadKB = 16 << 10
	// loopMajor is the kernel's number of the loop driver.
	loopMajor = 7
	// attachTries bounds a race for a free device with others on the node.
	attachTries = 100
	attachPause = 20 * time.Millisecond
)

// loops are the node's loop devices.
type loops struct{ sys, dev string }

// list returns the devices by their backing files.
func (l loops) list() (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(l.sys, "block/loop*/loop/backing_file"))
	if err != nil {
		return nil, fmt.Errorf("read the loop devices: %w: %w", err, volume.ErrUnavailable)
	}
	found := map[string]string{}
	for _, file := range files {
		// A device that goes away meanwhile has no backing file.
		backing, _ := os.ReadFile(file)
		name := filepath.Base(filepath.Dir(filepath.Dir(file)))
		found[strings.TrimSuffix(string(backing), "\n")] = filepath.Join(l.dev, name)
	}
	return found, nil
}

// attach puts a free device on the file. Its opening and its size are asked of
// the exporter, for which it waits, whatever ctx says.
func (l loops) attach(ctx context.Context, file string, readOnly bool) (string, error) {
	for range attachTries {
		device, err := l.attachOnce(file, readOnly)
		switch {
		case err == nil:
			l.readAhead(ctx, device)
			return device, nil
		case !errors.Is(err, unix.EBUSY):
			return "", fmt.Errorf("attach a loop device to %s: %w", file, err)
		}
		time.Sleep(attachPause)
	}
	return "", fmt.Errorf("attach a loop device to %s: no device stays free: %w", file, volume.ErrNoSpace)
}

// attachOnce gets EBUSY where somebody else was faster.
func (l loops) attachOnce(file string, readOnly bool) (string, error) {
	mode, flags := unix.O_RDWR, uint32(unix.LO_FLAGS_DIRECT_IO)
	if readOnly {
		mode, flags = unix.O_RDONLY, flags|unix.LO_FLAGS_READ_ONLY
	}
	backing, err := unix.Open(lasting(file), mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open the export: %w: %w", err, volume.ErrUnavailable)
	}
	defer unix.Close(backing)
	device, fd, err := l.free()
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	config := unix.LoopConfig{Fd: uint32(backing), Size: sector, Info: unix.LoopInfo64{Flags: flags}}
	if err := unix.IoctlLoopConfigure(fd, &config); err != nil {
		return "", fmt.Errorf("configure %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	return device, nil
}

// hostRoot is the host's, for a container that sees the host's processes.
const hostRoot = "/proc/1/root"

// lasting returns the file's path by which a device should have it. The kernel
// tells a device's file by its place in the mount namespace that it was opened
// in. A container's ends with it, and the device would be nobody's; the host's
// stays.
func lasting(file string) string {
	var here, there unix.Stat_t
	onHost := hostRoot + file
	if unix.Stat(file, &here) != nil || unix.Stat(onHost, &there) != nil || here.Dev != there.Dev || here.Ino != there.Ino {
		return file
	}
	return onHost
}

// free opens a device that is free, or was a moment ago.
func (l loops) free() (device string, fd int, err error) {
	control, err := unix.Open(filepath.Join(l.dev, "loop-control"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0, fmt.Errorf("open loop-control: %w: %w", err, volume.ErrUnsupported)
	}
	defer unix.Close(control)
	n, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", 0, fmt.Errorf("ask for a free device: %w: %w", err, volume.ErrNoSpace)
	}
	device = filepath.Join(l.dev, "loop"+strconv.Itoa(n))
	fd, err = unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		// A container's /dev does not see what the kernel makes.
		_ = unix.Mknod(device, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(n))))
		fd, err = unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return "", 0, fmt.Errorf("open %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	return device, fd, nil
}

// readAhead prepares the device for whole-file reads; without it the mapping
// works, slowly, so a refusal is logged only.
func (l loops) readAhead(ctx context.Context, device string) {
	file := filepath.Join(l.sys, "block", filepath.Base(device), "queue/read_ahead_kb")
	if err := os.WriteFile(file, []byte(strconv.Itoa(readAheadKB)), 0); err != nil {
		klog.FromContext(ctx).Error(err, "set the read-ahead", "device", device)
	}
}

// resize tells the device that its file has another size. The stat makes the
// kernel ask the exporter, which older kernels' loop driver does not do.
func (l loops) resize(device, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("ask for the size of %s: %w: %w", file, err, volume.ErrUnavailable)
	}
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("resize %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	return nil
}

// detach takes the device off its file, or wraps volume.ErrInUse and leaves it
// as it was. A mounted one refuses to be opened exclusively. The kernel has no
// count of other openers: it answers a detach by doing it at the last close,
// which can be undone as long as we have it open, too.
func (l loops) detach(device string) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s is mounted: %w", device, volume.ErrInUse)
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("open %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detach %s: %w: %w", device, err, volume.ErrUnavailable)
	}
	info, err := unix.IoctlLoopGetStatus64(fd)
	if err != nil {
		return nil // nothing is attached any more
	}
	info.Flags &^= unix.LO_FLAGS_AUTOCLEAR
	if err := unix.IoctlLoopSetStatus64(fd, info); err != nil {
		return fmt.Errorf("%s is open and will be detached later: %w: %w", device, err, volume.ErrInUse)
	}
	return fmt.Errorf("%s is open: %w", device, volume.ErrInUse)
}
