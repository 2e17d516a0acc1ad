package tenant

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// survey is what a cluster has at one time, as the rights depend on it.
type survey struct {
	users   []User
	goldens []shared
	files   map[string]int64 // bytes of a tenant's goldens in the file system
}

// shared is a golden, where it is, and which images hang on it.
type shared struct {
	place  Place
	golden volume.Golden
	clones []Clone
}

// survey looks at the whole cluster of a place: a golden that one tenant
// seals changes what others may read.
func (r *Registrar) survey(ctx context.Context, at Place) (survey, error) {
	users, err := r.accounts.Users(ctx, at)
	if err != nil {
		return survey{}, fmt.Errorf("list the users of cluster %s: %w", at.cluster.ID, err)
	}
	sortUsers(users)
	s := survey{users: users, files: map[string]int64{}}
	owners, err := r.owners(ctx, at)
	if err != nil {
		return survey{}, err
	}
	for _, owner := range owners {
		if err := r.add(ctx, &s, owner); err != nil {
			return survey{}, fmt.Errorf("look at the goldens of tenant %s: %w", owner.tenant, err)
		}
	}
	return s, nil
}

// owners are the places that can have goldens: the pool's namespaces. Among
// them may be one of a tenant that has gone from the policy.
func (r *Registrar) owners(ctx context.Context, at Place) ([]Place, error) {
	names, err := r.accounts.ListNamespaces(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("list the namespaces of %s: %w", at, err)
	}
	slices.Sort(names)
	var owners []Place
	for _, name := range names {
		if volume.IsName(name, volume.MaxTenantName) {
			owners = append(owners, Place{cluster: at.cluster, tenant: name})
		}
	}
	return owners, nil
}

// add adds a place's goldens. Their records lie where the tenant's writer can
// write: what is no image's id could become caps of any kind in an adapter, so
// nobody gets rights to that golden, and others get theirs all the same.
func (r *Registrar) add(ctx context.Context, s *survey, owner Place) error {
	goldens, err := r.catalog.Goldens(ctx, owner)
	if err != nil {
		return err
	}
	for _, g := range goldens {
		if g.Backend() == volume.CephFS {
			// Like all in a record, the number may be anything.
			s.files[owner.tenant] += min(max(g.DataBytes, 0), volume.MaxSize)
		}
		if g.State == volume.GoldenCreating || !isImageID(g.ImageID) {
			continue
		}
		clones, err := r.catalog.Clones(ctx, owner, g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.Ref, err)
		}
		s.goldens = append(s.goldens, shared{place: owner, golden: g, clones: clones})
	}
	return nil
}

// isImageID says whether s is such as RBD calls an image, or CephFS a
// subvolume's directory: at most 64 digits, small letters and hyphens.
func isImageID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz-") == ""
}

// readable are the other tenants' goldens that a tenant's users may read:
// those that the policy grants, and those that the tenant's images hang on,
// granted or no more, because without its parent a clone cannot be read.
func (s survey) readable(p *Policy, at Place) []SharedImage {
	var images []SharedImage
	for _, g := range s.goldens {
		if g.place.tenant == at.tenant {
			continue
		}
		if p.maySee(at.tenant, g.golden.Ref) || g.hasCloneOf(at.tenant) {
			images = append(images, g.image())
		}
	}
	slices.SortFunc(images, func(a, b SharedImage) int {
		return cmp.Or(cmp.Compare(a.Place.tenant, b.Place.tenant), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ImageID, b.ImageID))
	})
	return images
}

// maySee says whether the policy lets a tenant use a golden of another one
// that it knows.
func (p *Policy) maySee(tenant string, ref volume.GoldenRef) bool {
	return p.knows(ref.Tenant) && p.grants(tenant, ref)
}

func (g shared) hasCloneOf(tenant string) bool {
	return slices.ContainsFunc(g.clones, func(c Clone) bool { return c.Tenant == tenant })
}

func (g shared) image() SharedImage {
	return SharedImage{Place: g.place, Backend: g.golden.Backend(), Name: g.golden.Ref.Image(), ImageID: g.golden.ImageID}
}

// reader is the golden's reader, without a generation.
func (g shared) reader() User {
	return User{Tenant: g.place.tenant, Golden: volume.GoldenRef{Name: g.golden.Ref.Name, Version: g.golden.Ref.Version}}
}

// needsReader says whether there is a tenant with users whose nodes could use
// the golden's reader, or there is a reader already.
func (s survey) needsReader(p *Policy, g shared) bool {
	return slices.ContainsFunc(s.users, func(u User) bool {
		return u.kind() == g.reader() || u.isOf(g.place.tenant) || (u.Role != "" && p.maySee(u.Tenant, g.golden.Ref))
	})
}
