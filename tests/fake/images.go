package fake

import (
	"context"
	"fmt"
	"io"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// image is an RBD image.
type image struct {
	id      string
	space   *space
	made    bool // its creation came to an end
	size    int64
	content content
	parent  *snapshot
	snaps   []*snapshot
	opens   map[*handle]bool
	writer  *Host // has it mapped for writing
}

func (s *space) image(name string) (*image, error) {
	i, ok := s.images[name]
	if !ok {
		return nil, fmt.Errorf("image: %w", volume.ErrNotFound)
	}
	return i, nil
}

// opened is image for calls that open it, which an unfinished one refuses.
func (s *space) opened(name string) (*image, error) {
	i, err := s.image(name)
	if err == nil && !i.made {
		return nil, fmt.Errorf("image is not complete: %w", volume.ErrNotFound)
	}
	return i, err
}

// begin takes the name for an image that is not complete as yet.
func (c *Ceph) begin(at tenant.Place, name string) (*image, error) {
	s := c.space(at)
	if _, ok := s.images[name]; ok {
		return nil, fmt.Errorf("image: %w", volume.ErrExists)
	}
	i := &image{id: c.newID(), space: s, opens: map[*handle]bool{}}
	s.images[name] = i
	return i, nil
}

// begun says that the image was not removed since begin.
func (s *space) begun(name string, i *image) error {
	if s.images[name] != i {
		return fmt.Errorf("image was removed while it was made: %w", volume.ErrNotFound)
	}
	return nil
}

// CreateImage takes the name, then completes the image.
func (c *Ceph) CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	var i *image
	return c.do(ctx, "CreateImage", name, func() (err error) {
		i, err = c.begin(at, name)
		return err
	}, func() error {
		if err := c.space(at).begun(name, i); err != nil {
			return err
		}
		i.size, i.made = size, true
		return nil
	})
}

// CloneImage takes the name, then hangs the image on the parent.
func (c *Ceph) CloneImage(ctx context.Context, parent rbd.Parent, at tenant.Place, name string) error {
	var i *image
	return c.do(ctx, "CloneImage", name, func() error {
		_, err := c.snapshot(parent.Place, parent.Image, parent.Snapshot)
		if err == nil {
			i, err = c.begin(at, name)
		}
		return err
	}, func() error {
		s := c.space(at)
		if err := s.begun(name, i); err != nil {
			return err
		}
		snap, err := c.snapshot(parent.Place, parent.Image, parent.Snapshot)
		if err != nil {
			delete(s.images, name) // as Ceph does where the parent goes meanwhile
			return err
		}
		i.size, i.content, i.parent, i.made = snap.size, snap.content.clone(), snap, true
		snap.children++
		return nil
	})
}

// ResizeImage makes an image larger.
func (c *Ceph) ResizeImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	return c.do(ctx, "ResizeImage", name, func() error {
		i, err := c.space(at).opened(name)
		if err != nil {
			return err
		}
		i.size = max(i.size, size)
		return nil
	})
}

// ImageID returns an image's id, of an unfinished one as well.
func (c *Ceph) ImageID(ctx context.Context, at tenant.Place, name string) (string, error) {
	return get(ctx, c.Faults, "ImageID", name, func() (string, error) {
		i, err := c.space(at).image(name)
		if err != nil {
			return "", err
		}
		return i.id, nil
	})
}

// RenameImage renames.
func (c *Ceph) RenameImage(ctx context.Context, at tenant.Place, from, to string) error {
	return c.do(ctx, "RenameImage", from, func() error {
		s := c.space(at)
		i, err := s.opened(from)
		if err != nil {
			return err
		}
		if _, ok := s.images[to]; ok {
			return fmt.Errorf("image %s: %w", to, volume.ErrExists)
		}
		delete(s.images, from)
		s.images[to] = i
		return nil
	})
}

// RemoveImage removes an image that nothing needs.
func (c *Ceph) RemoveImage(ctx context.Context, at tenant.Place, name string) error {
	return c.do(ctx, "RemoveImage", name, func() error {
		s := c.space(at)
		i, ok := s.images[name]
		switch {
		case !ok:
			return nil
		case len(i.snaps) > 0:
			return fmt.Errorf("image: %w", volume.ErrHasSnapshots)
		case len(i.opens) > 0 || i.writer != nil:
			return fmt.Errorf("image is open: %w", volume.ErrInUse)
		}
		delete(s.images, name)
		if i.parent != nil {
			i.parent.disown()
		}
		return nil
	})
}

// OpenImage opens an image.
func (c *Ceph) OpenImage(ctx context.Context, at tenant.Place, name string) (golden.Image, error) {
	return get(ctx, c.Faults, "OpenImage", name, func() (golden.Image, error) {
		i, err := c.space(at).opened(name)
		if err != nil {
			return nil, err
		}
		h := &handle{ceph: c, image: i, name: name}
		i.opens[h] = true
		return h, nil
	})
}

// handle is an open image.
type handle struct {
	ceph  *Ceph
	image *image
	name  string
}

// call is a port call on the open image. An I/O has no context.
func (h *handle) call(port string, effect func() error) error {
	return h.ceph.do(context.Background(), port, h.name, func() error {
		if !h.image.opens[h] {
			return fmt.Errorf("image is closed: %w", volume.ErrInvalid)
		}
		return effect()
	})
}

// ReadAt reads up to the image's end.
func (h *handle) ReadAt(p []byte, off int64) (n int, err error) {
	err = h.call("ReadAt", func() error {
		n = int(max(0, min(int64(len(p)), h.image.size-off)))
		h.image.content.read(p[:n], off)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes; past the image's end it is an error.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	err := h.call("WriteAt", func() error {
		if off < 0 || off > h.image.size-int64(len(p)) {
			return fmt.Errorf("write past the end of %d bytes: %w", h.image.size, volume.ErrInvalid)
		}
		h.image.content.write(p, off)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush has nothing to do: what is written is kept.
func (h *handle) Flush() error { return h.call("Flush", func() error { return nil }) }

// Close closes the image.
func (h *handle) Close() error {
	return h.call("CloseImage", func() error {
		delete(h.image.opens, h)
		return nil
	})
}
