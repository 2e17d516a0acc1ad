package tenant

import "github.com/sdp-csi/sdp-csi/pkg/volume"

// Place is where a tenant's data lives: a cluster, its pool, and the tenant's
// RADOS namespace in it. It is a value; the zero Place is nowhere. Only this
// package can make one that is somewhere.
type Place struct {
	cluster *Cluster
	tenant  string
	limits  Limits
}

// Cluster returns the cluster's row of the policy. It must not be changed.
func (p Place) Cluster() *Cluster { return p.cluster }

// Tenant returns the tenant's name.
func (p Place) Tenant() string { return p.tenant }

// Pool returns the RBD pool's name.
func (p Place) Pool() string { return p.cluster.Pool }

// Namespace returns the tenant's RADOS namespace in the pool.
func (p Place) Namespace() string { return p.tenant }

// Limits returns what the tenant may have there. A place for giving something
// up has none.
func (p Place) Limits() Limits { return p.limits }

// IsZero says that p is nowhere.
func (p Place) IsZero() bool { return p.cluster == nil }

// String names the place for messages: cluster/pool/tenant.
func (p Place) String() string {
	if p.IsZero() {
		return "nowhere"
	}
	return p.cluster.ID + "/" + p.cluster.Pool + "/" + p.tenant
}

// VolumeID returns the ID of the volume that a CO calls name in this place.
func (p Place) VolumeID(b volume.Backend, name string) volume.ID {
	return volume.NewID(b, p.cluster.ID, p.tenant, name)
}

// SnapshotID returns the ID of the snapshot that a CO calls name.
func (p Place) SnapshotID(b volume.Backend, name string) volume.SnapshotID {
	return volume.NewSnapshotID(b, p.cluster.ID, p.tenant, name)
}
