package cephfs

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// readers is how many records of a page are read at once.
const readers = 16

// Tenants returns whose namespaces the place's pool has.
func (p *Provisioner) Tenants(ctx context.Context, at tenant.Place) ([]string, error) {
	return p.cluster.ListNamespaces(ctx, at)
}

// List returns one page of a place's finished volumes, in the order of their
// hashes, and the last hash looked at (empty: there are no more). A page can
// have fewer volumes than limit before the end.
func (p *Provisioner) List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Volume, string, error) {
	return page(ctx, p, at, volumePrefix, after, limit, func(hash string) (volume.Volume, error) {
		id := volume.ID{Backend: volume.CephFS, Cluster: at.Cluster().ID, Tenant: at.Tenant(), Hash: hash}
		return p.Get(ctx, at, id)
	})
}

// ListSnapshots is List for snapshots.
func (p *Provisioner) ListSnapshots(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Snapshot, string, error) {
	return page(ctx, p, at, snapshotPrefix, after, limit, func(hash string) (volume.Snapshot, error) {
		id := volume.SnapshotID{Backend: volume.CephFS, Cluster: at.Cluster().ID, Tenant: at.Tenant(), Hash: hash}
		return p.GetSnapshot(ctx, at, id)
	})
}

func page[T any](ctx context.Context, p *Provisioner, at tenant.Place, prefix, after string, limit int, get func(hash string) (T, error)) ([]T, string, error) {
	names, err := p.cluster.ListRecords(ctx, at, prefix, prefix+after, limit)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	found := make([]*T, len(names))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, name := range names {
		group.Go(func() error {
			one, err := get(name[len(prefix):])
			if errors.Is(err, volume.ErrNotFound) {
				return nil
			}
			found[i] = &one
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	last := ""
	if len(names) == limit {
		last = names[len(names)-1][len(prefix):]
	}
	return compact(found), last, nil
}

func compact[T any](found []*T) []T {
	all := make([]T, 0, len(found))
	for _, one := range found {
		if one != nil {
			all = append(all, *one)
		}
	}
	return all
}
