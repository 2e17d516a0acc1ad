package ceph

import (
	"context"
	"fmt"

	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// volumePrefix begins the names of volumes' records.
const volumePrefix = "vol."

// HasVolumes says whether any tenant has a volume in the pool that a place of
// no tenant stands for.
func (c *Cluster) HasVolumes(ctx context.Context, pool tenant.Place) (found bool, err error) {
	err = c.inPool(ctx, pool, func(conn *connection) error {
		ioctx, err := conn.in(pool.Pool(), "")
		if err != nil {
			return noPool(pool, err)
		}
		namespaces, err := librbd.NamespaceList(ioctx)
		if err != nil {
			return classify(err)
		}
		for _, name := range namespaces {
			if found, err = conn.hasVolumes(pool.Pool(), name); found || err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for volumes in %s: %w", pool, err)
	}
	return found, nil
}

func (c *connection) hasVolumes(pool, namespace string) (bool, error) {
	ioctx, err := c.in(pool, namespace)
	if err != nil {
		return false, fmt.Errorf("namespace %s: %w: %w", namespace, err, volume.ErrUnavailable)
	}
	for _, prefix := range [...]string{volumePrefix, filesPrefix + volumePrefix} {
		names, err := listKeys(ioctx, indexObject, prefix, "", 1)
		if len(names) > 0 || absentIsDone(err) != nil {
			return len(names) > 0, classify(err)
		}
	}
	return false, nil
}
