package golden

import (
	"context"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CloneLister tells which images hang on a golden. pkg/ceph implements it on
// a real Ceph, tests/fake in memory.
type CloneLister interface {
	// Clones returns them with their tenants, also those that are set aside
	// or in the trash. A golden without an image has none.
	Clones(ctx context.Context, at tenant.Place, g volume.Golden) ([]tenant.Clone, error)
}

// Catalog tells what places hold. It implements tenant.Catalog.
type Catalog struct {
	CloneLister
	library *Library
}

var _ tenant.Catalog = Catalog{}

// NewCatalog returns the catalog of a library.
func NewCatalog(l *Library, c CloneLister) Catalog { return Catalog{CloneLister: c, library: l} }

// catalogPage is how many goldens are read at once.
const catalogPage = 256

// Goldens implements tenant.Catalog.
func (c Catalog) Goldens(ctx context.Context, at tenant.Place) ([]volume.Golden, error) {
	all, err := c.all(ctx, at)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(g volume.Golden) bool { return g.State == volume.GoldenDeleted }), nil
}

func (c Catalog) all(ctx context.Context, at tenant.Place) (all []volume.Golden, err error) {
	for after := ""; ; {
		page, next, err := c.library.List(ctx, at, after, catalogPage)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); next == "" {
			return all, nil
		}
		after = next
	}
}

// Holds implements tenant.Catalog. A golden that was deleted leaves a record
// so that its name is not used again, and its reader's: that is no data.
func (c Catalog) Holds(ctx context.Context, at tenant.Place) (string, error) {
	goldens, err := c.all(ctx, at)
	if err != nil {
		return "", err
	}
	remains := map[string]bool{}
	for _, g := range goldens {
		if g.State != volume.GoldenDeleted {
			return "golden " + g.Ref.String(), nil
		}
		remains[g.Ref.Image()] = true
	}
	return c.other(ctx, at, remains)
}

// other returns the name of a record that is neither of goldens nor of what
// belongs to the tenant itself.
func (c Catalog) other(ctx context.Context, at tenant.Place, remains map[string]bool) (string, error) {
	for after := ""; ; {
		names, err := c.library.store.ListRecords(ctx, at, "", after, catalogPage)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if !remains[name] && !tenant.IsOwnRecord(name) {
				return name, nil
			}
		}
		if len(names) < catalogPage {
			return "", nil
		}
		after = names[len(names)-1]
	}
}
