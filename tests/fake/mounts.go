package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// harmless are the mount options that the fake knows.
var harmless = [...]string{"ro", "noatime", "nodiratime", "relatime", "discard", "nodiscard", "noexec", "nosuid", "nodev"}

// Mounted returns the topmost mount on path.
func (h *Host) Mounted(ctx context.Context, path string) (rbd.Mount, error) {
	return get(ctx, h.ceph.Faults, "Mounted", path, func() (rbd.Mount, error) {
		m, ok := h.mounted(path)
		if !ok {
			return rbd.Mount{}, fmt.Errorf("mount: %w", volume.ErrNotFound)
		}
		return m.Mount, nil
	})
}

// Mount mounts a device's file system.
func (h *Host) Mount(ctx context.Context, dev, path, fsType string, readOnly bool, options []string) error {
	return h.ceph.do(ctx, "Mount", path, func() error {
		for _, o := range options {
			if !slices.Contains(harmless[:], o) {
				return fmt.Errorf("mount option %q is not known to be harmless: %w", o, volume.ErrInvalid)
			}
		}
		d, err := h.device(dev)
		if err != nil {
			return err
		}
		want := rbd.Mount{Device: dev, FsType: fsType, ReadOnly: readOnly}
		if done, err := h.isMounted(path, want); done || err != nil {
			return err
		}
		switch has := d.content().fileSystem(); {
		case has != fsType:
			return fmt.Errorf("%s has file system %q, not %q: %w", dev, has, fsType, volume.ErrConflict)
		case d.ReadOnly && !readOnly:
			return fmt.Errorf("%s is read-only: %w", dev, volume.ErrInvalid)
		case d.content().unclean && readOnly:
			return fmt.Errorf("%s would be shown without its journal: %w", dev, volume.ErrInvalid)
		}
		if !readOnly {
			d.image.content.unclean = false
		}
		h.mounts = append(h.mounts, mount{path: path, Mount: want})
		return nil
	})
}

// isMounted says whether path shows what is wanted; volume.ErrConflict where
// it shows something else.
func (h *Host) isMounted(path string, want rbd.Mount) (bool, error) {
	m, ok := h.mounted(path)
	if ok && m.Mount != want {
		return false, fmt.Errorf("%s shows %s already: %w", path, m.Device, volume.ErrConflict)
	}
	return ok, nil
}

func (h *Host) device(path string) (*device, error) {
	if d, ok := h.devices[path]; ok {
		return d, nil
	}
	return nil, fmt.Errorf("device %s: %w", path, volume.ErrNotFound)
}

// content is what the device shows.
func (d *device) content() content {
	if d.snapshot != nil {
		return d.snapshot.content
	}
	return d.image.content
}

// Format makes a file system on an empty device.
func (h *Host) Format(ctx context.Context, dev, fsType string) error {
	return h.ceph.do(ctx, "Format", dev, func() error {
		d, err := h.device(dev)
		if err != nil {
			return err
		}
		switch has := d.content().fileSystem(); {
		case has == fsType:
			return nil
		case has != "":
			return fmt.Errorf("%s has an %s file system, not %s: %w", dev, has, fsType, volume.ErrConflict)
		case d.ReadOnly:
			return fmt.Errorf("%s is read-only: %w", dev, volume.ErrInvalid)
		}
		d.image.content.fsType, d.image.content.fsSize = fsType, d.size
		return nil
	})
}

// BindDevice makes a file, then binds the device over it.
func (h *Host) BindDevice(ctx context.Context, dev, path string, readOnly bool) error {
	return h.ceph.do(ctx, "BindDevice", path, func() error {
		h.files[path] = true
		return nil
	}, func() error { return h.bind(path, mount{Mount: rbd.Mount{Device: dev, ReadOnly: readOnly}}) })
}

func (h *Host) bind(path string, m mount) error {
	if m.lower == "" {
		if _, err := h.device(m.Device); err != nil {
			return err
		}
	}
	if done, err := h.isMounted(path, m.Mount); done || err != nil {
		return err
	}
	m.path = path
	h.mounts = append(h.mounts, m)
	return nil
}

// Unmount unmounts path, then removes the file it was.
func (h *Host) Unmount(ctx context.Context, path string) error {
	return h.ceph.do(ctx, "Unmount", path, func() error {
		h.mounts = slices.DeleteFunc(h.mounts, func(m mount) bool { return m.path == path })
		return nil
	}, func() error {
		delete(h.files, path)
		return nil
	})
}

// Users counts a device's mounts.
func (h *Host) Users(ctx context.Context, dev string) (int, error) {
	return get(ctx, h.ceph.Faults, "Users", dev, func() (int, error) { return h.users(dev), nil })
}

func (h *Host) users(dev string) (n int) {
	for _, m := range h.mounts {
		if m.Device == dev {
			n++
		}
	}
	return n
}

// Grow makes the file system as large as the device.
func (h *Host) Grow(ctx context.Context, dev, path string) error {
	return h.ceph.do(ctx, "Grow", dev, func() error {
		d, err := h.device(dev)
		if err != nil {
			return err
		}
		if m, ok := h.mounted(path); !ok || m.Device != dev || m.ReadOnly {
			return fmt.Errorf("%s is not mounted on %s for writing: %w", dev, path, volume.ErrInvalid)
		}
		d.image.content.fsSize = max(d.image.content.fsSize, d.size)
		return nil
	})
}
