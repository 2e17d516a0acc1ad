package fake

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Overlay shows a mount at another path.
func (h *Host) Overlay(ctx context.Context, o volume.Overlay, options []string) error {
	return h.ceph.do(ctx, "Overlay", o.Path, func() error {
		for _, option := range options {
			if !slices.Contains(harmless[:], option) {
				return fmt.Errorf("mount option %q is not known to be harmless: %w", option, volume.ErrInvalid)
			}
		}
		lower, ok := h.mounted(o.Lower)
		if !ok {
			return fmt.Errorf("nothing is mounted on %s: %w", o.Lower, volume.ErrInUse)
		}
		want := rbd.Mount{Device: o.Shows, FsType: volume.OverlayType, ReadOnly: true}
		if done, err := h.isMounted(o.Path, want); done || err != nil {
			return err
		}
		h.mounts = append(h.mounts, mount{path: o.Path, Mount: want, lower: o.Lower, inside: o.Inside, keeps: lower.Device})
		return nil
	})
}

// Overlays lists them.
func (h *Host) Overlays(ctx context.Context, dir string) ([]volume.Overlay, error) {
	return get(ctx, h.ceph.Faults, "Overlays", dir, func() (all []volume.Overlay, err error) {
		for _, m := range h.mounts {
			if m.lower != "" && filepath.Dir(m.lower) == dir {
				all = append(all, volume.Overlay{Path: m.path, Lower: m.lower, Inside: m.inside, Shows: m.Device})
			}
		}
		return all, nil
	})
}

// IsClean says whether nobody has soiled the image since it was last mounted
// for writing.
func (h *Host) IsClean(ctx context.Context, dev, path, fsType string) (bool, error) {
	return get(ctx, h.ceph.Faults, "IsClean", path, func() (bool, error) {
		d, err := h.device(dev)
		if err != nil {
			return false, err
		}
		if !d.ReadOnly {
			return false, fmt.Errorf("%s is writable: %w", dev, volume.ErrInUse)
		}
		if has := d.content().fileSystem(); has != fsType {
			return false, fmt.Errorf("%s has file system %q, not %q: %w", dev, has, fsType, volume.ErrConflict)
		}
		return !d.content().unclean, nil
	})
}

// Prefetch reads all that the mount stores.
func (h *Host) Prefetch(ctx context.Context, dir string, _ bool, read func(bytes int64)) error {
	stored, err := get(ctx, h.ceph.Faults, "Prefetch", dir, func() (int64, error) {
		m, ok := h.mounted(dir)
		if !ok {
			return 0, fmt.Errorf("nothing is mounted on %s: %w", dir, volume.ErrNotFound)
		}
		d, err := h.device(m.Device)
		if err != nil {
			return 0, err
		}
		return d.content().stored(), nil
	})
	if err == nil {
		read(stored)
	}
	return err
}
