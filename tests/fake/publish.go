package fake

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Publish makes the target, then binds the staged volume over it.
func (h *Host) Publish(ctx context.Context, p volume.Publication) error {
	var staged mount
	return h.ceph.do(ctx, "Publish", p.Target, func() (err error) {
		if staged, err = h.staged(p); err != nil {
			return err
		}
		if done, err := h.isMounted(p.Target, staged.Mount); done || err != nil {
			return err
		}
		if err := h.mayShow(p, staged.Device); err != nil {
			return err
		}
		h.files[p.Target] = true
		return nil
	}, func() error { return h.bind(p.Target, staged) })
}

// mayShow refuses a second target of a volume that is published alone.
func (h *Host) mayShow(p volume.Publication, dev string) error {
	for _, m := range h.mounts {
		if p.Alone && m.Device == dev && m.path != p.Staging && m.path != filepath.Join(p.Staging, volume.StagedDevice) {
			return fmt.Errorf("the volume is published on %s: %w", m.path, volume.ErrInUse)
		}
	}
	return nil
}

// staged returns the row that the target is to have.
func (h *Host) staged(p volume.Publication) (mount, error) {
	path := p.Staging
	if p.Block {
		path = filepath.Join(p.Staging, volume.StagedDevice)
	}
	m, ok := h.mounted(path)
	switch {
	case !ok:
		return mount{}, fmt.Errorf("no volume is staged on %s: %w", p.Staging, volume.ErrInUse)
	case p.Block && p.ReadOnly && !m.ReadOnly:
		return mount{}, fmt.Errorf("a writable block volume cannot be published read-only: %w", volume.ErrInUse)
	}
	m.ReadOnly = m.ReadOnly || p.ReadOnly
	return m, nil
}

// Unpublish unmounts the target, then removes it.
func (h *Host) Unpublish(ctx context.Context, target string) error {
	return h.ceph.do(ctx, "Unpublish", target, func() error {
		h.mounts = slices.DeleteFunc(h.mounts, func(m mount) bool { return m.path == target })
		return nil
	}, func() error {
		delete(h.files, target)
		return nil
	})
}

// Usage tells how full what is mounted on path is.
func (h *Host) Usage(ctx context.Context, path string) (volume.Usage, error) {
	return get(ctx, h.ceph.Faults, "Usage", path, func() (volume.Usage, error) {
		m, ok := h.mounted(path)
		if !ok {
			m, ok = h.mounted(filepath.Join(path, volume.StagedDevice))
		}
		if !ok {
			return volume.Usage{}, fmt.Errorf("mount: %w", volume.ErrNotFound)
		}
		d, err := h.device(cmp.Or(m.keeps, m.Device))
		if err != nil {
			return volume.Usage{}, err
		}
		if m.FsType == "" {
			return volume.Usage{Block: true, Total: d.size}, nil
		}
		c := d.content()
		return volume.Usage{Total: c.fsSize, Used: c.stored(), Available: max(0, c.fsSize-c.stored())}, nil
	})
}
