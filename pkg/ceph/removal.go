package ceph

import (
	"context"
	"fmt"
	"syscall"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// RemoveImage implements rbd.Images. librbd moves the image to the pool's
// trash, removes it there, and moves it back where it may not. An image with
// snapshots is refused before that: a crash would leave it in the trash,
// where its snapshots cannot be cloned or removed by name.
func (c *Cluster) RemoveImage(ctx context.Context, at tenant.Place, name string) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error { return removeImage(ioctx, name) })
	return about("remove image", at, name, err)
}

func removeImage(ioctx *rados.IOContext, name string) error {
	id, err := imageID(ioctx, name)
	if err == nil {
		err = clearSnapshots(ioctx, name, id)
	}
	if err := absentIsDone(err); err != nil {
		return err
	}
	// Also without an id: the removal may have been interrupted when the
	// image was in the trash, where librbd finds it by its name, and an
	// interrupted creation leaves an id without an image.
	return absentIsDone(librbd.RemoveImage(ioctx, name))
}

// The names of an image's header and of the snapshots in its omap (Ceph's RBD
// layout).
const (
	headerPrefix   = "rbd_header."
	snapshotPrefix = "snapshot_"
)

// clearSnapshots refuses an image with snapshots. One look at the header is
// enough for an image without. A snapshot in the image's trash whose last
// clone has gone is removed here: librbd removes it together with that clone,
// but a crash can come between.
func clearSnapshots(ioctx *rados.IOContext, name, id string) error {
	keys, err := listKeys(ioctx, headerPrefix+id, snapshotPrefix, "", 1)
	if err != nil || len(keys) == 0 {
		return err
	}
	return withImage(ioctx, name, librbd.OpenImage, clearTrash)
}

func clearTrash(image *librbd.Image) error {
	all, err := image.GetSnapshotNames()
	if err != nil {
		return err
	}
	for _, s := range all {
		kind, err := image.GetSnapNamespaceType(s.Id)
		if err != nil {
			return err
		}
		if kind != librbd.SnapNamespaceTypeTrash {
			return fmt.Errorf("snapshot %s: %w", s.Name, volume.ErrHasSnapshots)
		}
		err = image.RemoveSnapByID(s.Id)
		if is(err, syscall.EBUSY) {
			return fmt.Errorf("snapshot %d in the trash has clones: %w", s.Id, volume.ErrHasSnapshots)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
