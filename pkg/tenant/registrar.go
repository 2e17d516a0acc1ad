package tenant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Registrar leads tenants through their life in Ceph: it makes their users,
// keeps what these may do equal to the policy, and takes it away. It keeps no
// state of its own, and every method can be repeated after a crash.
type Registrar struct {
	policy   *Policy
	accounts Accounts
	catalog  Catalog
	ledger   Ledger
}

// NewRegistrar returns a Registrar. All arguments are needed.
func NewRegistrar(p *Policy, a Accounts, c Catalog, l Ledger) *Registrar {
	return &Registrar{policy: p, accounts: a, catalog: c, ledger: l}
}

// Create makes the tenant's namespace and users, those that are not there, the
// users of its volumes where an earlier Revoke removed them, and the readers of
// the goldens that it may use. It returns the tenant's users in force. A tenant
// that was revoked is let in again.
func (r *Registrar) Create(ctx context.Context, at Place) ([]User, error) {
	if err := r.setRevoked(ctx, at, false); err != nil {
		return nil, err
	}
	return r.enrol(ctx, at)
}

func (r *Registrar) enrol(ctx context.Context, at Place) ([]User, error) {
	if err := r.accounts.MakeNamespace(ctx, at); err != nil {
		return nil, fmt.Errorf("make the namespace of tenant %s: %w", at.tenant, err)
	}
	s, err := r.survey(ctx, at)
	if err != nil {
		return nil, err
	}
	for _, role := range [...]Role{Reader, Writer} {
		kind := User{Tenant: at.tenant, Role: role}
		if _, ok := latest(s.users, kind); !ok {
			s.users = append(s.users, kind.next())
		}
	}
	if err := r.putOwn(ctx, at, s); err != nil {
		return nil, err
	}
	if err := r.makeReaders(ctx, s); err != nil {
		return nil, err
	}
	if err := r.limitFiles(ctx, at, s); err != nil {
		return nil, err
	}
	if err := r.putVolumeUsers(ctx, at, func(u User) User { return u }); err != nil {
		return nil, err
	}
	return r.inForce(s.users, at)
}

// putVolumeUsers makes a generation of each of the users of the tenant's
// volumes.
func (r *Registrar) putVolumeUsers(ctx context.Context, at Place, generation func(User) User) error {
	users, err := r.accounts.VolumeUsers(ctx, at)
	if err != nil {
		return fmt.Errorf("list the users of the volumes of tenant %s: %w", at.tenant, err)
	}
	for _, u := range users {
		err := r.accounts.PutVolumeUser(ctx, at, generation(u))
		if err != nil && !errors.Is(err, volume.ErrNotFound) {
			return fmt.Errorf("make user %s: %w", generation(u), err)
		}
	}
	return nil
}

// inForce returns the latest generation of each of the tenant's users.
func (r *Registrar) inForce(users []User, at Place) ([]User, error) {
	var found []User
	for _, role := range [...]Role{Reader, Writer} {
		u, ok := latest(users, User{Tenant: at.tenant, Role: role})
		if !ok {
			return nil, fmt.Errorf("tenant %s has no users in cluster %s: create it: %w", at.tenant, at.cluster.ID, volume.ErrNotFound)
		}
		found = append(found, u)
	}
	return found, nil
}

// putOwn gives all generations of the tenant's users what the policy says.
func (r *Registrar) putOwn(ctx context.Context, at Place, s survey) error {
	goldens := s.readable(r.policy, at)
	for _, u := range s.users {
		if !u.isOf(at.tenant) {
			continue
		}
		if err := r.accounts.Put(ctx, u, Access{At: at, Role: u.Role, Goldens: goldens}); err != nil {
			return fmt.Errorf("set what user %s may do: %w", u, err)
		}
	}
	return nil
}

// latest returns the last generation of a user.
func latest(users []User, kind User) (User, bool) {
	var last User
	for _, u := range users {
		if u.kind() == kind && u.Generation > last.Generation {
			last = u
		}
	}
	return last, last.Generation > 0
}

// Keys are what a tenant's nodes get.
type Keys struct {
	Reader volume.Credentials
	Writer *volume.Credentials // nil where the tenant's nodes only read
	// Goldens are the readers of the goldens that the tenant may use.
	Goldens map[volume.GoldenRef]volume.Credentials
}

// Keys returns the tenant's keys in force.
func (r *Registrar) Keys(ctx context.Context, at Place) (Keys, error) {
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return Keys{}, err
	}
	own, err := r.inForce(users, at)
	if err != nil {
		return Keys{}, err
	}
	k := Keys{Goldens: map[volume.GoldenRef]volume.Credentials{}}
	if k.Reader, err = r.accounts.Key(ctx, at, own[0]); err != nil {
		return Keys{}, err
	}
	if !r.policy.ReadOnlyNodes(at) {
		writer, err := r.accounts.Key(ctx, at, own[1])
		if err != nil {
			return Keys{}, err
		}
		k.Writer = &writer
	}
	return k, r.goldenKeys(ctx, at, users, k.Goldens)
}

func (r *Registrar) goldenKeys(ctx context.Context, at Place, users []User, keys map[volume.GoldenRef]volume.Credentials) error {
	for _, u := range users {
		if last, _ := latest(users, u.kind()); !u.isGoldens() || u != last {
			continue
		}
		ref := u.Golden
		ref.Tenant = u.Tenant
		if _, err := r.policy.Golden(at, ref); err != nil {
			continue
		}
		key, err := r.accounts.Key(ctx, at, u)
		if errors.Is(err, volume.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		keys[ref] = key
	}
	return nil
}

// Delete removes the tenant's users and namespace. It refuses, with
// volume.ErrInUse, while the tenant has data. What clients of its are
// connected lose nothing that is still there.
func (r *Registrar) Delete(ctx context.Context, at Place) error {
	what, err := r.catalog.Holds(ctx, at)
	if err != nil {
		return err
	}
	if what != "" {
		return fmt.Errorf("tenant %s still has data in %s (%s): delete that first: %w", at.tenant, at, what, volume.ErrInUse)
	}
	if err := r.accounts.RemoveNamespace(ctx, at); err != nil {
		return fmt.Errorf("remove the namespace of tenant %s: %w", at.tenant, err)
	}
	return r.removeUsers(ctx, at, func(u User) bool { return u.Tenant == at.tenant })
}

func (r *Registrar) removeUsers(ctx context.Context, at Place, which func(User) bool) error {
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return err
	}
	for _, u := range users {
		if !which(u) {
			continue
		}
		if err := r.accounts.Remove(ctx, at, u); err != nil {
			return fmt.Errorf("remove user %s: %w", u, err)
		}
	}
	return nil
}

// sortUsers orders users by name, for lists.
func sortUsers(users []User) {
	slices.SortFunc(users, func(a, b User) int { return cmp.Compare(a.String(), b.String()) })
}
