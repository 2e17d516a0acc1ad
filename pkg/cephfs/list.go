package cephfs

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Tenants returns whose namespaces the place's pool has.
func (p *Provisioner) Tenants(ctx context.Context, at tenant.Place) ([]string, error) {
	return p.cluster.ListNamespaces(ctx, at)
}

// List returns one page of a place's finished volumes, in the order of their
// hashes, and the last hash looked at (empty: there are no more). A page can
// have fewer volumes than limit before the end.
func (p *Provisioner) List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Volume, string, error) {
	return record.Page(ctx, p.cluster, at, volumePrefix, after, limit, func(hash string) (volume.Volume, error) {
		id := volume.ID{Backend: volume.CephFS, Cluster: at.Cluster().ID, Tenant: at.Tenant(), Hash: hash}
		return p.Get(ctx, at, id)
	})
}

// ListSnapshots is List for snapshots.
func (p *Provisioner) ListSnapshots(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Snapshot, string, error) {
	return record.Page(ctx, p.cluster, at, snapshotPrefix, after, limit, func(hash string) (volume.Snapshot, error) {
		id := volume.SnapshotID{Backend: volume.CephFS, Cluster: at.Cluster().ID, Tenant: at.Tenant(), Hash: hash}
		return p.GetSnapshot(ctx, at, id)
	})
}
