package ceph

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// SnapshotID implements golden.Store.
func (c *Cluster) SnapshotID(ctx context.Context, at tenant.Place, image, snapshot string) (uint64, error) {
	info, err := c.Snapshot(ctx, at, image, snapshot)
	return info.ID, err
}

// Children implements golden.Store. It asks for at most 4,096 clones, which
// is the answer where there are more.
func (c *Cluster) Children(ctx context.Context, at tenant.Place, image, snapshot string) (int, error) {
	count := 0
	err := c.openReadOnly(ctx, at, image, func(i *librbd.Image) error {
		if err := i.SetSnapshot(snapshot); err != nil {
			return err
		}
		_, names, err := i.ListChildren()
		count = len(names)
		if is(err, syscall.ERANGE) {
			count, err = maxChildren, nil
		}
		return err
	})
	return count, about("count the clones of", at, image+"@"+snapshot, err)
}

// maxChildren is where go-ceph's ListChildren ends with ERANGE.
const maxChildren = 4096

// OpenImage implements golden.Store.
func (c *Cluster) OpenImage(ctx context.Context, at tenant.Place, name string) (golden.Image, error) {
	image, err := c.openImage(ctx, at, name)
	if err != nil {
		return nil, about("open image", at, name, err)
	}
	return image, nil
}

func (c *Cluster) openImage(ctx context.Context, at tenant.Place, name string) (*image, error) {
	s, err := c.connections.acquire(ctx, ownLogin(at.Cluster()))
	if err != nil {
		return nil, err
	}
	opened, err := s.conn.openImage(at, name)
	if err != nil {
		c.connections.release(s, isBroken(err))
		return nil, err
	}
	return &image{image: opened, release: func() { c.connections.release(s, false) }}, nil
}

func (c *connection) openImage(at tenant.Place, name string) (*librbd.Image, error) {
	ioctx, err := c.in(at.Pool(), at.Namespace())
	if err != nil {
		return nil, noPool(at, err)
	}
	opened, err := librbd.OpenImage(ioctx, name, librbd.NoSnapshot)
	return opened, classify(err)
}

// image is an open image. librbd takes reads and writes from many threads.
type image struct {
	image   *librbd.Image
	release func()
	once    sync.Once
}

// ReadAt implements io.ReaderAt.
func (i *image) ReadAt(p []byte, off int64) (int, error) {
	n, err := i.image.ReadAt(p, off)
	return n, classify(err)
}

// WriteAt implements io.WriterAt. A write past the image's end is an error.
func (i *image) WriteAt(p []byte, off int64) (int, error) {
	n, err := i.image.WriteAt(p, off)
	if errors.Is(err, io.EOF) {
		err = io.ErrShortWrite
	}
	return n, classify(err)
}

// Flush implements golden.Image.
func (i *image) Flush() error { return classify(i.image.Flush()) }

// Close closes the image. Closing it once more does nothing.
func (i *image) Close() (err error) {
	i.once.Do(func() {
		err = classify(i.image.Close())
		i.release()
	})
	return err
}
