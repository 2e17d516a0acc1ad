package fake

import (
	"context"
	"fmt"
	"slices"
	"time"

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

// MayRead looks for the image by its id.
func (c *Ceph) MayRead(ctx context.Context, at tenant.Place, by volume.Credentials, m rbd.Mapping) error {
	return c.do(ctx, "MayRead", m.ImageID, func() error {
		s, err := c.reached(at, by, m)
		if err != nil {
			return err
		}
		for _, i := range s.images {
			if i.id == m.ImageID {
				return nil
			}
		}
		return fmt.Errorf("image %s: %w", m.ImageID, volume.ErrNotFound)
	})
}

// Lease notes a reader beside the image.
func (c *Ceph) Lease(ctx context.Context, at tenant.Place, by volume.Credentials, m rbd.Mapping, node string, until time.Time) error {
	return c.do(ctx, "Lease", m.ImageID, func() error {
		s, err := c.reached(at, by, m)
		if err != nil {
			return err
		}
		if s.leases[m.ImageID] == nil {
			s.leases[m.ImageID] = map[string]time.Time{}
		}
		s.leases[m.ImageID][node] = until
		return nil
	})
}

// reached returns the mapping's namespace, if the key opens it.
func (c *Ceph) reached(at tenant.Place, by volume.Credentials, m rbd.Mapping) (*space, error) {
	if err := c.permit(by, m.Namespace); err != nil {
		return nil, err
	}
	s, ok := c.spaces[spaceKey{poolKey{at.Cluster().ID, at.Pool()}, m.Namespace}]
	if !ok {
		return nil, fmt.Errorf("namespace %s: %w", m.Namespace, volume.ErrNotFound)
	}
	return s, nil
}
