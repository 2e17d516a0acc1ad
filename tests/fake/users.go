package fake

import (
	"context"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// user is a cephx user.
type user struct {
	key     volume.Secret
	tenants []string
}

// Allow makes a cephx user, or replaces it: it may read and write what is in
// the tenants' namespaces, of any pool.
func (c *Ceph) Allow(name string, key volume.Secret, tenants ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[name] = user{key: key, tenants: tenants}
}

// permit wraps volume.ErrDenied unless the key opens the namespace.
func (c *Ceph) permit(by volume.Credentials, namespace string) error {
	u, ok := c.users[by.User]
	if !ok || u.key != by.Key {
		return fmt.Errorf("no such user or key: %w", volume.ErrDenied)
	}
	if slices.Contains(u.tenants, namespace) {
		return nil
	}
	return fmt.Errorf("%s may not read namespace %s: %w", by.User, namespace, volume.ErrDenied)
}

// Read reads a record with a user's key.
func (c *Ceph) Read(ctx context.Context, at tenant.Place, by volume.Credentials, name string) (rbd.Reading, error) {
	return get(ctx, c.Faults, "Read", name, func() (rbd.Reading, error) {
		if err := c.permit(by, at.Namespace()); err != nil {
			return rbd.Reading{}, err
		}
		s := c.space(at)
		data, err := s.record(name)
		if err != nil {
			return rbd.Reading{}, err
		}
		return rbd.Reading{Data: data, FSID: fsid(s.key.cluster), PoolID: c.poolID(s.key.poolKey)}, nil
	})
}
