package krbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/keyring"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// maxDevices is what the driver's single major has room for: 20 bits of minor
// numbers, 16 of them a device (drivers/block/rbd.c).
const maxDevices = 1 << 16

// readAheadKB lets one reader keep several 4 MiB objects in flight.
const readAheadKB = 16 << 10

// Mapper is rbd.Mapper on the kernel's client.
type Mapper struct {
	sys string // where sysfs is
	dev string // where device nodes are

	inspect Inspect // nil: holders have no names
}

// Inspect says what Ceph calls the image of m, and the address of the client
// that has its exclusive lock, empty where none has.
type Inspect func(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Identity, string, error)

// New returns a Mapper. sys and dev are /sys and /dev but in tests.
func New(sys, dev string) *Mapper { return &Mapper{sys: sys, dev: dev} }

// Naming returns a Mapper that names who has an image which it cannot map: the
// kernel does not tell.
func (k *Mapper) Naming(i Inspect) *Mapper { return &Mapper{sys: k.sys, dev: k.dev, inspect: i} }

// Available says whether the kernel has the client, and loads the module
// where that is possible.
func (k *Mapper) Available(ctx context.Context) error {
	if k.loaded() {
		return nil
	}
	out, err := exec.CommandContext(ctx, "modprobe", "rbd").CombinedOutput()
	if k.loaded() {
		return nil
	}
	return fmt.Errorf("this kernel has no rbd module (modprobe rbd: %w: %.200s): %w", err, out, volume.ErrUnsupported)
}

func (k *Mapper) loaded() bool {
	_, err := os.Stat(filepath.Join(k.sys, addFile))
	return err == nil
}

// Map maps m. The call into the kernel cannot be interrupted: mount_timeout
// and lock_timeout bound it.
func (k *Mapper) Map(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Device, error) {
	if dev, err := k.Find(ctx, m); err == nil || !errors.Is(err, volume.ErrNotFound) {
		return dev, err
	}
	line, err := addLine(m, c.User)
	if err != nil {
		return rbd.Device{}, err
	}
	before, err := k.named(m)
	if err != nil {
		return rbd.Device{}, err
	}
	if err := k.add(line, c.Key); err != nil {
		return rbd.Device{}, k.name(ctx, m, c, err)
	}
	n, err := k.find(m)
	if err != nil {
		return rbd.Device{}, k.undo(m, before, err)
	}
	k.readAhead(ctx, n)
	return k.device(n), nil
}

// name adds to a refusal who has the image.
func (k *Mapper) name(ctx context.Context, m rbd.Mapping, c volume.Credentials, cause error) error {
	if k.inspect == nil || !errors.Is(cause, volume.ErrInUse) {
		return cause
	}
	_, holder, err := k.inspect(ctx, m, c)
	if err != nil || holder == "" {
		return cause
	}
	return fmt.Errorf("it is held by the client at %s: %w", holder, cause)
}

// undo removes the mapping that was added under m's names and shows another
// image than was meant. Those that had the names before are somebody's still.
func (k *Mapper) undo(m rbd.Mapping, before []int, cause error) error {
	cause = fmt.Errorf("the image that was mapped is not the one of the record: %w", cause)
	now, err := k.named(m)
	if err != nil {
		return errors.Join(cause, err)
	}
	for _, n := range now {
		if !slices.Contains(before, n) {
			cause = errors.Join(cause, k.remove(n))
		}
	}
	return cause
}

// add writes the line on a thread whose keyring has the key.
func (k *Mapper) add(line string, key volume.Secret) error {
	return keyring.With(key, func() error {
		if err := k.write(addFile, line); err != nil {
			return mapError(err)
		}
		return nil
	})
}

// readAhead prepares the device for whole-file reads; without it the mapping
// works, slowly, so a refusal is logged only.
func (k *Mapper) readAhead(ctx context.Context, n int) {
	file := filepath.Join("block", "rbd"+strconv.Itoa(n), "queue", "read_ahead_kb")
	if err := k.write(file, strconv.Itoa(readAheadKB)); err != nil {
		klog.FromContext(ctx).Error(err, "set the read-ahead", "device", n)
	}
}

// Find returns m's device.
func (k *Mapper) Find(_ context.Context, m rbd.Mapping) (rbd.Device, error) {
	n, err := k.find(m)
	if err != nil {
		return rbd.Device{}, err
	}
	return k.device(n), nil
}

// List returns the devices of this driver's images.
func (k *Mapper) List(context.Context) ([]rbd.Mapped, error) {
	numbers, err := k.numbers()
	if err != nil {
		return nil, err
	}
	var all []rbd.Mapped
	for _, n := range numbers {
		if m := k.mapping(n); rbd.IsOurs(m.Image) {
			all = append(all, rbd.Mapped{Mapping: m, Device: k.device(n)})
		}
	}
	return all, nil
}

func (k *Mapper) device(n int) rbd.Device {
	return rbd.Device{Path: filepath.Join(k.dev, "rbd"+strconv.Itoa(n))}
}

// Refresh makes the kernel read the image's size. It would hear of a change by
// itself, some time later, and of one to a read-only mapping never.
func (k *Mapper) Refresh(_ context.Context, m rbd.Mapping) error {
	n, err := k.find(m)
	if err != nil {
		return err
	}
	if err := k.write(filepath.Join(devicesDir, strconv.Itoa(n), "refresh"), "1"); err != nil {
		return fmt.Errorf("refresh /dev/rbd%d: %w: %w", n, err, volume.ErrUnavailable)
	}
	return nil
}

// Unmap removes m's device.
func (k *Mapper) Unmap(_ context.Context, m rbd.Mapping) error {
	n, err := k.find(m)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return k.remove(n)
}

// remove removes a device. One that is gone meanwhile is success.
func (k *Mapper) remove(n int) error {
	err := k.write(removeFile, strconv.Itoa(n))
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("/dev/rbd%d is open: %w", n, volume.ErrInUse)
	}
	return fmt.Errorf("unmap /dev/rbd%d: %w: %w", n, err, volume.ErrUnavailable)
}

// Exclusive is true: the mapping option of that name takes the image's lock
// and never hands it over.
func (k *Mapper) Exclusive() bool { return true }

// Limit returns how many devices the kernel can have.
func (k *Mapper) Limit() int64 { return maxDevices }
