package nbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// limit is how many images a node can have mapped. Devices that are made over
// netlink are not bounded by the module's nbds_max; a process each is what
// they cost.
const limit = 1024

// readAheadKB lets one reader keep several 4 MiB objects in flight.
const readAheadKB = 16 << 10

// Inspect says what an image is and which client holds its lock, empty where
// none does. It wraps the errors of rbd.Mapper.Map. rbd-nbd itself tells no
// more than whether it worked.
type Inspect func(context.Context, rbd.Mapping, volume.Credentials) (id rbd.Identity, holder string, err error)

// Options say where things are. A zero field means its default.
type Options struct {
	Inspect    Inspect         // needed
	Starter    mounter.Starter // starts rbd-nbd (this process does)
	Sys        string          // /sys
	Proc       string          // /proc
	Dev        string          // /dev
	MapTimeout time.Duration   // bounds one map where its context does not (1 min)
	EndTimeout time.Duration   // bounds one unmap (30 s)
}

func (o Options) withDefaults() Options {
	for field, fallback := range map[*string]string{
		&o.Sys: "/sys", &o.Proc: "/proc", &o.Dev: "/dev",
	} {
		if *field == "" {
			*field = fallback
		}
	}
	if o.Starter == nil {
		o.Starter = mounter.Local{}
	}
	if o.MapTimeout <= 0 {
		o.MapTimeout = time.Minute
	}
	if o.EndTimeout <= 0 {
		o.EndTimeout = 30 * time.Second
	}
	return o
}

// Mapper is rbd.Mapper on rbd-nbd.
type Mapper struct{ options Options }

// New returns a Mapper.
func New(o Options) *Mapper { return &Mapper{options: o.withDefaults()} }

// Available says whether this node can map, and loads the module where that is
// possible.
func (n *Mapper) Available(ctx context.Context) error {
	if err := n.options.Starter.Has(mounter.NBD); err != nil {
		return err
	}
	if n.loaded() {
		return nil
	}
	out, err := exec.CommandContext(ctx, "modprobe", "nbd").CombinedOutput()
	if n.loaded() {
		return nil
	}
	return fmt.Errorf("this kernel has no nbd module (modprobe nbd: %w: %.200s): %w", err, out, volume.ErrUnsupported)
}

func (n *Mapper) loaded() bool {
	_, err := os.Stat(filepath.Join(n.options.Sys, "module/nbd"))
	return err == nil
}

// Map maps m. A process that died took its device along, so there is nothing
// half-made: either a device shows the image, or none does.
func (n *Mapper) Map(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Device, error) {
	m.ReadOnly = m.ReadOnly || m.Snapshot != ""
	ctx, cancel := context.WithTimeout(ctx, n.options.MapTimeout)
	defer cancel()
	found, err := n.find(m)
	if err == nil && found.ReadOnly == m.ReadOnly {
		n.readAhead(ctx, found.Device)
		return found.Device, nil
	}
	if err == nil {
		if err := n.remove(ctx, found); err != nil {
			return rbd.Device{}, fmt.Errorf("clear a mapping of another access: %w", err)
		}
	} else if !errors.Is(err, volume.ErrNotFound) {
		return rbd.Device{}, err
	}
	return n.add(ctx, m, c)
}

// add maps what is not mapped. The identity is looked at before and after:
// ids are never used again, so the image in between was the same.
func (n *Mapper) add(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Device, error) {
	id, err := n.inspect(ctx, m, c)
	if err != nil {
		return rbd.Device{}, err
	}
	m.Identity = id
	if err := n.run(ctx, m, c); err != nil {
		return rbd.Device{}, n.explain(ctx, m, c, err)
	}
	if _, err = n.inspect(ctx, m, c); err != nil {
		return rbd.Device{}, errors.Join(err, n.Unmap(context.WithoutCancel(ctx), m))
	}
	found, err := n.find(m)
	if errors.Is(err, volume.ErrNotFound) {
		return rbd.Device{}, fmt.Errorf("rbd-nbd has mapped %s, and no device shows it: %w", m.Image, volume.ErrUnavailable)
	}
	if err != nil {
		return rbd.Device{}, err
	}
	n.readAhead(ctx, found.Device)
	return found.Device, nil
}

func (n *Mapper) inspect(ctx context.Context, m rbd.Mapping, c volume.Credentials) (rbd.Identity, error) {
	id, _, err := n.options.Inspect(ctx, m, c)
	if err != nil {
		return id, err
	}
	if !m.Identity.Agrees(id) {
		return id, fmt.Errorf("%s is image %s of pool %d of cluster %s, not the one that was meant: %w",
			m.Image, id.ImageID, id.PoolID, id.FSID, volume.ErrNotFound)
	}
	return id, nil
}

// explain finds out why rbd-nbd has not mapped the image: another's lock is
// the one reason that inspecting before could not rule out.
func (n *Mapper) explain(ctx context.Context, m rbd.Mapping, c volume.Credentials, cause error) error {
	if m.ReadOnly {
		return cause
	}
	_, holder, err := n.options.Inspect(ctx, m, c)
	if err != nil || holder == "" {
		return cause
	}
	return fmt.Errorf("%s is held by the client at %s: %w", m.Image, holder, volume.ErrInUse)
}

// readAhead prepares the device for whole-file reads; without it the mapping
// works, slowly, so a refusal is logged only.
func (n *Mapper) readAhead(ctx context.Context, d rbd.Device) {
	file := filepath.Join(n.options.Sys, "block", filepath.Base(d.Path), "queue/read_ahead_kb")
	if err := os.WriteFile(file, []byte(strconv.Itoa(readAheadKB)), 0); err != nil {
		klog.FromContext(ctx).Error(err, "set the read-ahead", "device", d.Path)
	}
}

// Find returns m's device.
func (n *Mapper) Find(_ context.Context, m rbd.Mapping) (rbd.Device, error) {
	found, err := n.find(m)
	return found.Device, err
}

// List returns the devices of this driver's images.
func (n *Mapper) List(context.Context) ([]rbd.Mapped, error) {
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	var found []rbd.Mapped
	for _, s := range all {
		if rbd.IsOurs(s.Image) {
			found = append(found, s.Mapped)
		}
	}
	return found, nil
}

// Refresh has nothing to do: rbd-nbd watches a writable image's header and
// resizes its device by itself.
func (n *Mapper) Refresh(context.Context, rbd.Mapping) error { return nil }

// Unmap removes m's device, and waits for the end of the process behind it.
func (n *Mapper) Unmap(ctx context.Context, m rbd.Mapping) error {
	found, err := n.find(m)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.remove(ctx, found)
}

// remove lets rbd-nbd disconnect a device, which it does also under a mounted
// file system; so that is looked at here. Who has the device open without
// claiming it is not seen: the caller counts the mounts of a device's node.
func (n *Mapper) remove(ctx context.Context, s served) error {
	fd, err := unix.Open(s.Device.Path, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%s is mounted: %w", s.Device.Path, volume.ErrInUse)
	}
	if err == nil {
		_ = unix.Close(fd)
	}
	ctx, cancel := context.WithTimeout(ctx, n.options.EndTimeout)
	defer cancel()
	return n.disconnect(ctx, s)
}

// Exclusive is true: rbd-nbd takes the image's lock by name (--exclusive), and
// librbd then hands it over to nobody.
func (n *Mapper) Exclusive() bool { return true }

// Limit returns how many images the node can have mapped.
func (n *Mapper) Limit() int64 { return limit }
