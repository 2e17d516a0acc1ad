package ceph

import (
	"context"
	"fmt"
	"time"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateSnapshot implements rbd.Snapshots.
func (c *Cluster) CreateSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error {
	err := c.open(ctx, at, image, func(i *librbd.Image) error {
		_, err := i.CreateSnapshot(snapshot)
		return err
	})
	return about("create snapshot", at, image+"@"+snapshot, err)
}

// Snapshot implements rbd.Snapshots.
func (c *Cluster) Snapshot(ctx context.Context, at tenant.Place, image, snapshot string) (rbd.SnapshotInfo, error) {
	var info rbd.SnapshotInfo
	err := c.openReadOnly(ctx, at, image, func(i *librbd.Image) (err error) {
		info, err = describe(i, snapshot)
		return err
	})
	return info, about("look up snapshot", at, image+"@"+snapshot, err)
}

// describe finds a snapshot in what the open image knows already.
func describe(i *librbd.Image, snapshot string) (rbd.SnapshotInfo, error) {
	all, err := i.GetSnapshotNames()
	if err != nil {
		return rbd.SnapshotInfo{}, err
	}
	for _, s := range all {
		if s.Name != snapshot {
			continue
		}
		at, err := i.GetSnapTimestamp(s.Id)
		if err != nil {
			return rbd.SnapshotInfo{}, err
		}
		return rbd.SnapshotInfo{ID: s.Id, Size: int64(s.Size), Created: time.Unix(at.Sec, at.Nsec).UTC()}, nil
	}
	return rbd.SnapshotInfo{}, fmt.Errorf("the image has no such snapshot: %w", volume.ErrNotFound)
}

// RemoveSnapshot implements rbd.Snapshots. One that has clones librbd moves to
// the image's trash by itself.
func (c *Cluster) RemoveSnapshot(ctx context.Context, at tenant.Place, image, snapshot string) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		return absentIsDone(withImage(ioctx, image, librbd.OpenImage, func(i *librbd.Image) error {
			return i.GetSnapshot(snapshot).Remove()
		}))
	})
	return about("remove snapshot", at, image+"@"+snapshot, err)
}
