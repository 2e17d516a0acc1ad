package fake

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

var (
	_ tenant.Accounts    = (*Ceph)(nil)
	_ golden.CloneLister = (*Ceph)(nil)
)

// account is a user that the project made.
type account struct {
	access tenant.Access
	key    volume.Secret
}

// registry is what Ceph knows of the users that the project made.
type registry struct {
	accounts   map[tenant.User]account
	clients    map[tenant.User][]string
	blocked    map[string]bool
	namespaces map[spaceKey]bool
	volumes    map[tenant.User]bool // users whose keys lie with their tenant
	limits     map[string]int64     // of tenants' directories
}

func newRegistry() registry {
	return registry{
		accounts: map[tenant.User]account{}, clients: map[tenant.User][]string{},
		blocked: map[string]bool{}, namespaces: map[spaceKey]bool{}, volumes: map[tenant.User]bool{}, limits: map[string]int64{},
	}
}

// AddVolumeUser makes the user of a volume in a file system.
func (c *Ceph) AddVolumeUser(at tenant.Place, subvolume string) tenant.User {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := tenant.User{Tenant: at.Tenant(), Volume: subvolume, Generation: 1}
	c.registry.accounts[u] = account{access: tenant.Access{At: at}, key: c.newKey()}
	c.registry.volumes[u] = true
	return u
}

// Limit returns how many bytes a tenant's directory may have.
func (c *Ceph) Limit(tenant string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registry.limits[tenant]
}

// FindsVolumeUsers says whether each volume's key that lies with a tenant is of
// a user that is there.
func (c *Ceph) FindsVolumeUsers() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for u := range c.registry.volumes {
		if _, ok := c.registry.accounts[u]; !ok {
			return false
		}
	}
	return true
}

func (c *Ceph) newKey() volume.Secret {
	return volume.Secret(base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "key %d", c.next())))
}

// Connect makes a client with an address that is connected as the user.
func (c *Ceph) Connect(u tenant.User, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registry.clients[u] = append(c.registry.clients[u], address)
}

// Disconnect ends all clients of the user.
func (c *Ceph) Disconnect(u tenant.User) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.registry.clients, u)
}

// Blocked says whether a client is shut out.
func (c *Ceph) Blocked(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.registry.blocked[address]
}

// Access returns what a user may do; false without the user.
func (c *Ceph) Access(u tenant.User) (tenant.Access, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.registry.accounts[u]
	return a.access, ok
}

// Users lists the users.
func (c *Ceph) Users(ctx context.Context, at tenant.Place) ([]tenant.User, error) {
	return get(ctx, c.Faults, "Users", at.String(), func() ([]tenant.User, error) {
		var users []tenant.User
		for u, a := range c.registry.accounts {
			if a.access.At.Cluster().ID == at.Cluster().ID {
				users = append(users, u)
			}
		}
		return users, nil
	})
}

// Put makes a user or changes what it may do.
func (c *Ceph) Put(ctx context.Context, u tenant.User, a tenant.Access) error {
	return c.do(ctx, "Put", u.String(), func() error {
		old, ok := c.registry.accounts[u]
		if ok && old.access.At.Pool() != a.At.Pool() {
			return fmt.Errorf("user %s: %w", u, volume.ErrConflict)
		}
		if !ok {
			old.key = c.newKey()
		}
		old.access = a
		c.registry.accounts[u] = old
		return nil
	})
}

// Matches compares what a user may do.
func (c *Ceph) Matches(ctx context.Context, u tenant.User, a tenant.Access) (bool, error) {
	return get(ctx, c.Faults, "Matches", u.String(), func() (bool, error) {
		has, ok := c.registry.accounts[u]
		if !ok {
			return false, fmt.Errorf("user: %w", volume.ErrNotFound)
		}
		// Places of two policies are the same where they are called the same.
		same := func(x, y tenant.SharedImage) bool {
			return x.Place.String() == y.Place.String() && x.Name == y.Name && x.ImageID == y.ImageID
		}
		return has.access.Role == a.Role && has.access.At.String() == a.At.String() && slices.EqualFunc(has.access.Goldens, a.Goldens, same), nil
	})
}

// Ping is answered by each cluster.
func (c *Ceph) Ping(ctx context.Context, row *tenant.Cluster) error {
	return c.do(ctx, "Ping", row.ID, func() error { return nil })
}

// Versions are of programs that nobody runs.
func (c *Ceph) Versions(ctx context.Context, at tenant.Place) (map[string][]string, error) {
	return get(ctx, c.Faults, "Versions", at.String(), func() (map[string][]string, error) {
		return map[string][]string{"mon": {"18.2.0"}, "mgr": {"18.2.0"}, "osd": {"18.2.0"}, "mds": {"18.2.0"}}, nil
	})
}

// UserCaps knows the users of controllers: «sdp»; «sdp-rbd» that has no right in
// CephFS; «sdp-users» and «sdp-module», which can make users by themselves and by
// the manager.
func (c *Ceph) UserCaps(ctx context.Context, at tenant.Place, user string) (map[string]string, error) {
	return get(ctx, c.Faults, "UserCaps", user, func() (map[string]string, error) {
		files := ", allow rw tag cephfs data=" + at.Cluster().FileSystem
		caps := map[string]string{"mon": "profile rbd, allow r", "osd": "profile rbd pool=" + at.Pool() + files, "mgr": `allow command "fs subvolume create"`}
		switch user {
		case "sdp":
		case "sdp-rbd":
			caps["osd"] = strings.TrimSuffix(caps["osd"], files)
		case "sdp-users":
			caps["mon"] += `, allow command "auth get-or-create" with entity prefix "client.sdpfs."`
		case "sdp-module":
			caps["mgr"] = "allow module volumes rw"
		default:
			return nil, fmt.Errorf("user: %w", volume.ErrNotFound)
		}
		return caps, nil
	})
}

// Serving says that somebody makes volumes' users.
func (c *Ceph) Serving(ctx context.Context, row *tenant.Cluster) error {
	return c.do(ctx, "Serving", row.ID, func() error { return nil })
}

// Key returns a user's key.
func (c *Ceph) Key(ctx context.Context, _ tenant.Place, u tenant.User) (volume.Credentials, error) {
	return get(ctx, c.Faults, "Key", u.String(), func() (volume.Credentials, error) {
		a, ok := c.registry.accounts[u]
		if !ok {
			return volume.Credentials{}, fmt.Errorf("user: %w", volume.ErrNotFound)
		}
		return volume.Credentials{User: u.String(), Key: a.key}, nil
	})
}

// Remove removes a user.
func (c *Ceph) Remove(ctx context.Context, _ tenant.Place, u tenant.User) error {
	return c.do(ctx, "Remove", u.String(), func() error {
		delete(c.registry.accounts, u)
		return nil
	})
}

// Connected lists the clients that Connect made.
func (c *Ceph) Connected(ctx context.Context, at tenant.Place) (map[tenant.User][]string, error) {
	return get(ctx, c.Faults, "Connected", at.String(), func() (map[tenant.User][]string, error) {
		found := map[tenant.User][]string{}
		for u, addresses := range c.registry.clients {
			found[u] = slices.Clone(addresses)
		}
		return found, nil
	})
}

// Block shuts clients out, one after the other.
func (c *Ceph) Block(ctx context.Context, at tenant.Place, addresses []string) error {
	effects := make([]func() error, len(addresses))
	for i, address := range addresses {
		effects[i] = func() error {
			c.registry.blocked[address] = true
			return nil
		}
	}
	return c.do(ctx, "Block", at.String(), effects...)
}

// MakeNamespace makes a place's namespace.
func (c *Ceph) MakeNamespace(ctx context.Context, at tenant.Place) error {
	return c.do(ctx, "MakeNamespace", at.String(), func() error {
		c.registry.namespaces[c.space(at).key] = true
		return nil
	})
}

// LimitFiles sets the limits of tenants' directories.
func (c *Ceph) LimitFiles(ctx context.Context, at tenant.Place, bytes map[string]int64) error {
	return c.do(ctx, "LimitFiles", at.String(), func() error {
		maps.Copy(c.registry.limits, bytes)
		return nil
	})
}

// VolumeUsers lists the users whose keys lie with the tenant.
func (c *Ceph) VolumeUsers(ctx context.Context, at tenant.Place) ([]tenant.User, error) {
	return get(ctx, c.Faults, "VolumeUsers", at.String(), func() (users []tenant.User, _ error) {
		for u := range c.registry.volumes {
			if u.Tenant == at.Tenant() {
				users = append(users, u)
			}
		}
		return users, nil
	})
}

// PutVolumeUser makes a user, and then its key the one that is found.
func (c *Ceph) PutVolumeUser(ctx context.Context, at tenant.Place, u tenant.User) error {
	return c.do(ctx, "PutVolumeUser", u.String(), func() error {
		if _, ok := c.registry.accounts[u]; !ok {
			c.registry.accounts[u] = account{access: tenant.Access{At: at}, key: c.newKey()}
		}
		return nil
	}, func() error {
		maps.DeleteFunc(c.registry.volumes, func(other tenant.User, _ bool) bool {
			return other.Tenant == u.Tenant && other.Volume == u.Volume
		})
		c.registry.volumes[u] = true
		return nil
	})
}

// RemoveNamespace removes a place's namespace unless there are images in it.
func (c *Ceph) RemoveNamespace(ctx context.Context, at tenant.Place) error {
	return c.do(ctx, "RemoveNamespace", at.String(), func() error {
		s := c.space(at)
		if len(s.images) > 0 {
			return fmt.Errorf("namespace has images: %w", volume.ErrInUse)
		}
		delete(c.registry.namespaces, s.key)
		delete(c.registry.limits, at.Tenant())
		maps.DeleteFunc(c.registry.volumes, func(u tenant.User, _ bool) bool { return u.Tenant == at.Tenant() })
		return nil
	})
}

// ListNamespaces lists the namespaces that MakeNamespace made.
func (c *Ceph) ListNamespaces(ctx context.Context, at tenant.Place) ([]string, error) {
	return get(ctx, c.Faults, "ListNamespaces", at.String(), func() ([]string, error) {
		var names []string
		for key := range c.registry.namespaces {
			if key.poolKey == (poolKey{at.Cluster().ID, at.Pool()}) {
				names = append(names, key.namespace)
			}
		}
		return names, nil
	})
}

// Clones lists the images whose parent is the golden's snapshot.
func (c *Ceph) Clones(ctx context.Context, at tenant.Place, g volume.Golden) ([]tenant.Clone, error) {
	return get(ctx, c.Faults, "Clones", g.Ref.Image(), func() ([]tenant.Clone, error) {
		var clones []tenant.Clone
		for key, s := range c.spaces {
			for name, i := range s.images {
				if i.parent != nil && i.parent.image.id == g.ImageID && i.parent.image.space == c.space(at) {
					clones = append(clones, tenant.Clone{Tenant: key.namespace, Image: name})
				}
			}
		}
		return clones, nil
	})
}
