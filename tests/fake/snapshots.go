package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// snapshot is an image's snapshot.
type snapshot struct {
	info     rbd.SnapshotInfo
	image    *image
	name     string
	trash    bool
	size     int64
	content  content
	children int
}

// String is how Contents shows it.
func (s *snapshot) String() string {
	if s.trash {
		return "(trash)"
	}
	return s.name
}

// disown takes a child away, and the last one takes the trash along.
func (s *snapshot) disown() {
	s.children--
	if s.trash && s.children == 0 {
		s.image.drop(s)
	}
}

func (i *image) drop(s *snapshot) {
	i.snaps = slices.DeleteFunc(i.snaps, func(other *snapshot) bool { return other == s })
}

func (i *image) snapshot(name string) (*snapshot, bool) {
	for _, s := range i.snaps {
		if s.name == name && !s.trash {
			return s, true
		}
	}
	return nil, false
}

func (c *Ceph) snapshot(at tenant.Place, image, name string) (*snapshot, error) {
	i, err := c.space(at).opened(image)
	if err != nil {
		return nil, err
	}
	s, ok := i.snapshot(name)
	if !ok {
		return nil, fmt.Errorf("snapshot of image %s: %w", image, volume.ErrNotFound)
	}
	return s, nil
}

// CreateSnapshot takes a snapshot.
func (c *Ceph) CreateSnapshot(ctx context.Context, at tenant.Place, image, name string) error {
	return c.do(ctx, "CreateSnapshot", image+"@"+name, func() error {
		i, err := c.space(at).opened(image)
		if err != nil {
			return err
		}
		if _, ok := i.snapshot(name); ok {
			return fmt.Errorf("snapshot: %w", volume.ErrExists)
		}
		info := rbd.SnapshotInfo{ID: c.next(), Size: i.size, Created: c.now()}
		i.snaps = append(i.snaps, &snapshot{info: info, image: i, name: name, size: i.size, content: i.content.clone()})
		return nil
	})
}

// Snapshot describes a snapshot.
func (c *Ceph) Snapshot(ctx context.Context, at tenant.Place, image, name string) (rbd.SnapshotInfo, error) {
	return get(ctx, c.Faults, "Snapshot", image+"@"+name, func() (rbd.SnapshotInfo, error) {
		s, err := c.snapshot(at, image, name)
		if err != nil {
			return rbd.SnapshotInfo{}, err
		}
		return s.info, nil
	})
}

// SnapshotID returns a snapshot's id.
func (c *Ceph) SnapshotID(ctx context.Context, at tenant.Place, image, name string) (uint64, error) {
	return get(ctx, c.Faults, "SnapshotID", image+"@"+name, func() (uint64, error) {
		s, err := c.snapshot(at, image, name)
		if err != nil {
			return 0, err
		}
		return s.info.ID, nil
	})
}

// RemoveSnapshot removes a snapshot, or moves it to the image's trash.
func (c *Ceph) RemoveSnapshot(ctx context.Context, at tenant.Place, image, name string) error {
	return c.do(ctx, "RemoveSnapshot", image+"@"+name, func() error {
		i, ok := c.space(at).images[image]
		if !ok {
			return nil
		}
		s, ok := i.snapshot(name)
		switch {
		case !ok:
		case s.children > 0:
			s.trash = true
		default:
			i.drop(s)
		}
		return nil
	})
}

// Children counts a snapshot's clones.
func (c *Ceph) Children(ctx context.Context, at tenant.Place, image, name string) (int, error) {
	return get(ctx, c.Faults, "Children", image+"@"+name, func() (int, error) {
		s, err := c.snapshot(at, image, name)
		if err != nil {
			return 0, err
		}
		return s.children, nil
	})
}
