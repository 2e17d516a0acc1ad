package fake

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Map makes a device: first what serves it, then the device itself.
func (h *Host) Map(ctx context.Context, m rbd.Mapping, by volume.Credentials) (rbd.Device, error) {
	var made rbd.Device
	err := h.ceph.do(ctx, "Map", m.Image, func() error {
		if d := h.find(m); d != nil && d.Device.Path != "" {
			return nil
		}
		return h.begin(m, by)
	}, func() error {
		d := h.find(m)
		if d == nil {
			return fmt.Errorf("what was begun has been undone: %w", volume.ErrUnavailable)
		}
		if d.Device.Path == "" {
			h.serial++
			d.Device.Path = fmt.Sprintf("/dev/fake%d", h.serial)
			h.devices[d.Device.Path] = d
			delete(h.devices, unfinished(m))
		}
		made = d.Device
		return nil
	})
	return made, err
}

// unfinished is where the table of devices has a half-made one.
func unfinished(m rbd.Mapping) string {
	return "half " + m.Pool + "/" + m.Namespace + "/" + m.Image + "@" + m.Snapshot
}

// begin does what can be refused.
func (h *Host) begin(m rbd.Mapping, by volume.Credentials) error {
	d, err := h.ceph.show(m, by)
	if err != nil {
		return err
	}
	old := h.devices[unfinished(m)]
	switch {
	case len(h.devices) >= int(h.limit) && old == nil:
		return fmt.Errorf("the node has %d devices: %w", len(h.devices), volume.ErrNoSpace)
	case d.ReadOnly:
	case h.exclusive && d.image.writer != nil && d.image.writer != h:
		return fmt.Errorf("another node writes the image: %w", volume.ErrInUse)
	default:
		d.image.writer = h
	}
	h.devices[unfinished(m)] = d
	return nil
}

// show opens what a mapping names, with a user's key.
func (c *Ceph) show(m rbd.Mapping, by volume.Credentials) (*device, error) {
	for key, s := range c.spaces {
		if key.pool != m.Pool || key.namespace != m.Namespace || (m.FSID != "" && m.FSID != fsid(key.cluster)) {
			continue
		}
		return s.show(c, m, by)
	}
	return nil, fmt.Errorf("namespace %s/%s: %w", m.Pool, m.Namespace, volume.ErrNotFound)
}

func (s *space) show(c *Ceph, m rbd.Mapping, by volume.Credentials) (*device, error) {
	if err := c.permit(by, m.Namespace); err != nil {
		return nil, err
	}
	i, err := s.opened(m.Image)
	if err != nil {
		return nil, err
	}
	if err := c.permitParents(by, i); err != nil {
		return nil, err
	}
	found := rbd.Identity{FSID: fsid(s.key.cluster), PoolID: c.poolID(s.key.poolKey), ImageID: i.id}
	d := &device{image: i, size: i.size}
	if m.Snapshot != "" {
		var ok bool
		if d.snapshot, ok = i.snapshot(m.Snapshot); !ok {
			return nil, fmt.Errorf("snapshot %s: %w", m.Snapshot, volume.ErrNotFound)
		}
		found.SnapshotID, d.size, m.ReadOnly = d.snapshot.info.ID, d.snapshot.size, true
	}
	if !m.Agrees(found) {
		return nil, fmt.Errorf("the image of that name is another one: %w", volume.ErrNotFound)
	}
	m.Identity, m.Monitors = found, nil
	d.Mapping = m
	return d, nil
}

// permitParents checks the key for all that a clone hangs on: without, it
// cannot be opened.
func (c *Ceph) permitParents(by volume.Credentials, i *image) error {
	for p := i.parent; p != nil; p = p.image.parent {
		if err := c.permit(by, p.image.space.key.namespace); err != nil {
			return fmt.Errorf("parent: %w", err)
		}
	}
	return nil
}

// find returns m's device, or a half-made one, or nil.
func (h *Host) find(m rbd.Mapping) *device {
	for _, d := range h.devices {
		if d.Pool == m.Pool && d.Namespace == m.Namespace && d.Image == m.Image && d.Snapshot == m.Snapshot && m.Agrees(d.Identity) {
			return d
		}
	}
	return nil
}

// Find returns m's device.
func (h *Host) Find(ctx context.Context, m rbd.Mapping) (rbd.Device, error) {
	return get(ctx, h.ceph.Faults, "Find", m.Image, func() (rbd.Device, error) {
		d := h.find(m)
		if d == nil || d.Device.Path == "" {
			return rbd.Device{}, fmt.Errorf("device: %w", volume.ErrNotFound)
		}
		return d.Device, nil
	})
}

// List returns the devices that are complete.
func (h *Host) List(ctx context.Context) ([]rbd.Mapped, error) {
	return get(ctx, h.ceph.Faults, "List", "", func() ([]rbd.Mapped, error) {
		var all []rbd.Mapped
		for _, d := range h.devices {
			if d.Device.Path != "" && rbd.IsOurs(d.Image) {
				all = append(all, d.Mapped)
			}
		}
		slices.SortFunc(all, func(a, b rbd.Mapped) int { return cmp.Compare(a.Device.Path, b.Device.Path) })
		return all, nil
	})
}

// Refresh makes the device as large as its image.
func (h *Host) Refresh(ctx context.Context, m rbd.Mapping) error {
	return h.ceph.do(ctx, "Refresh", m.Image, func() error {
		if d := h.find(m); d != nil && d.snapshot == nil {
			d.size = d.image.size
		}
		return nil
	})
}

// Unmap removes the device, then what served it.
func (h *Host) Unmap(ctx context.Context, m rbd.Mapping) error {
	return h.ceph.do(ctx, "Unmap", m.Image, func() error {
		d := h.find(m)
		if d == nil || d.Device.Path == "" {
			return nil
		}
		if slices.ContainsFunc(h.mounts, func(m mount) bool { return m.opens(d.Device.Path) }) {
			return fmt.Errorf("%s is open: %w", d.Device.Path, volume.ErrInUse)
		}
		delete(h.devices, d.Device.Path)
		d.Device.Path = ""
		h.devices[unfinished(m)] = d
		return nil
	}, func() error {
		if d := h.devices[unfinished(m)]; d != nil {
			delete(h.devices, unfinished(m))
			if d.image.writer == h && !d.ReadOnly {
				d.image.writer = nil
			}
		}
		return nil
	})
}

// Tidy removes half-made devices, as the mappers do when a driver starts.
func (h *Host) Tidy() {
	h.ceph.mu.Lock()
	defer h.ceph.mu.Unlock()
	for name, d := range h.devices {
		if d.Device.Path != "" {
			continue
		}
		delete(h.devices, name)
		if d.image.writer == h && !d.ReadOnly {
			d.image.writer = nil
		}
	}
}

// Exclusive says what SetMapper was told.
func (h *Host) Exclusive() bool {
	h.ceph.mu.Lock()
	defer h.ceph.mu.Unlock()
	return h.exclusive
}

// Limit says what SetMapper was told.
func (h *Host) Limit() int64 {
	h.ceph.mu.Lock()
	defer h.ceph.mu.Unlock()
	return h.limit
}
