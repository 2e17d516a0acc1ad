package tenant

import (
	"context"
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Rotate makes a new generation of each of the tenant's users and of its
// volumes'. The old ones stay until Finish, because nodes have mapped volumes
// with them and the Secrets name them. It returns the tenant's users in force.
func (r *Registrar) Rotate(ctx context.Context, at Place) ([]User, error) {
	s, err := r.survey(ctx, at)
	if err != nil {
		return nil, err
	}
	old, err := r.inForce(s.users, at)
	if err != nil {
		return nil, err
	}
	for _, u := range old {
		s.users = append(s.users, u.next())
	}
	if err := r.putOwn(ctx, at, s); err != nil {
		return nil, err
	}
	if err := r.putVolumeUsers(ctx, at, User.next); err != nil {
		return nil, err
	}
	return r.inForce(s.users, at)
}

// Finish removes the old generations of the tenant's users, of its volumes' and
// of the readers of its goldens, that no client is connected as. It returns those
// that are still in use. The Secrets must have been written again before: a
// node that would stage with an old one from now on is refused.
func (r *Registrar) Finish(ctx context.Context, at Place) (inUse []User, err error) {
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return nil, err
	}
	clients, err := r.accounts.Connected(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("look for clients of tenant %s: %w", at.tenant, err)
	}
	inForce, err := r.volumesInForce(ctx, at)
	if err != nil {
		return nil, err
	}
	sortUsers(users)
	for _, u := range users {
		if u.Tenant != at.tenant || !isOld(u, users, inForce) {
			continue
		}
		if len(clients[u]) > 0 {
			inUse = append(inUse, u)
			continue
		}
		if err := r.accounts.Remove(ctx, at, u); err != nil {
			return nil, fmt.Errorf("remove user %s: %w", u, err)
		}
	}
	return inUse, nil
}

// volumesInForce are the generations of the volumes' users whose keys lie where
// nodes look for them.
func (r *Registrar) volumesInForce(ctx context.Context, at Place) (map[User]int, error) {
	users, err := r.accounts.VolumeUsers(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("list the users of the volumes of tenant %s: %w", at.tenant, err)
	}
	inForce := map[User]int{}
	for _, u := range users {
		inForce[u.kind()] = u.Generation
	}
	return inForce, nil
}

// isOld says whether a user has been replaced: by a later one, and a volume's
// only by one whose key is where nodes look.
func isOld(u User, all []User, inForce map[User]int) bool {
	if u.Volume != "" {
		return u.Generation < inForce[u.kind()]
	}
	last, _ := latest(all, u.kind())
	return u != last
}

// Revoke cuts the tenant off: its users and its volumes' go, so that nobody connects as one of
// them, and the clients that are connected are shut out. It returns how many
// those were. Readers of goldens belong to no tenant and stay.
//
// A client can be on its way in while its user goes, so the clients are
// looked for again until none is new. The note that keeps the tenant out lies
// where its writer can write, so it is written once more when none is left.
func (r *Registrar) Revoke(ctx context.Context, at Place) (cut int, err error) {
	if err := r.setRevoked(ctx, at, true); err != nil {
		return 0, err
	}
	if cut, err = r.cutOff(ctx, at); err != nil {
		return cut, err
	}
	return cut, r.setRevoked(ctx, at, true)
}

func (r *Registrar) cutOff(ctx context.Context, at Place) (cut int, err error) {
	if err := r.removeUsers(ctx, at, func(u User) bool { return u.serves(at.tenant) }); err != nil {
		return 0, err
	}
	blocked := map[string]bool{}
	for {
		fresh, err := r.connected(ctx, at, blocked)
		if err != nil || len(fresh) == 0 {
			return len(blocked), err
		}
		if err := r.accounts.Block(ctx, at, fresh); err != nil {
			return len(blocked), fmt.Errorf("shut out %d clients of tenant %s: %w", len(fresh), at.tenant, err)
		}
		for _, address := range fresh {
			blocked[address] = true
		}
	}
}

// connected returns the tenant's clients that are not blocked as yet, also
// those of users that an earlier, interrupted call removed.
func (r *Registrar) connected(ctx context.Context, at Place, blocked map[string]bool) ([]string, error) {
	clients, err := r.accounts.Connected(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("look for clients of tenant %s: %w", at.tenant, err)
	}
	var fresh []string
	for u, addresses := range clients {
		for _, address := range addresses {
			if u.serves(at.tenant) && !blocked[address] {
				fresh = append(fresh, address)
			}
		}
	}
	slices.Sort(fresh)
	return fresh, nil
}

// Standing is what there is to tell about a tenant.
type Standing struct {
	Users []User
	// VolumeUsers are those of its volumes in a file system.
	VolumeUsers []User
	// Granted are the other tenants' goldens that it may use.
	Granted []volume.GoldenRef
	// Withdrawn are images of its own that hang on goldens which it may use
	// no more, by golden.
	Withdrawn map[volume.GoldenRef][]string
}

// Standing tells about a tenant.
func (r *Registrar) Standing(ctx context.Context, at Place) (Standing, error) {
	s, err := r.survey(ctx, at)
	if err != nil {
		return Standing{}, err
	}
	st := Standing{Withdrawn: map[volume.GoldenRef][]string{}}
	for _, u := range s.users {
		switch {
		case u.isOf(at.tenant):
			st.Users = append(st.Users, u)
		case u.serves(at.tenant):
			st.VolumeUsers = append(st.VolumeUsers, u)
		}
	}
	for _, g := range s.goldens {
		if g.place.tenant == at.tenant {
			continue
		}
		if r.policy.maySee(at.tenant, g.golden.Ref) {
			st.Granted = append(st.Granted, g.golden.Ref)
			continue
		}
		for _, c := range g.clones {
			if c.Tenant == at.tenant {
				st.Withdrawn[g.golden.Ref] = append(st.Withdrawn[g.golden.Ref], c.Image)
			}
		}
	}
	return st, nil
}
