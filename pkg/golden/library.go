package golden

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Options are what a Library may be told. A zero field means its default.
type Options struct {
	// InFlight is how many pieces of 4 MiB an import writes and reads back at once,
	// each with two buffers of that size (8).
	InFlight int
	// Grace is how long a golden stays after its deletion was asked for, so
	// that no node reads it any more: longer than goldens linger there (0).
	Grace time.Duration
	// Now is the clock (time.Now).
	Now func() time.Time
}

// Library keeps the goldens of all tenants that are in one backend. It knows
// of those in others, whose names are taken. Safe for concurrent use.
type Library struct {
	store    Store
	backend  volume.Backend
	inFlight int
	grace    time.Duration
	now      func() time.Time
}

// NewLibrary returns the library of what store holds.
func NewLibrary(store Store, o Options) *Library {
	l := &Library{store: store, backend: volume.RBD, inFlight: o.InFlight, grace: o.Grace, now: o.Now}
	if _, ok := store.(Trees); ok {
		l.backend = volume.CephFS
	}
	if l.inFlight <= 0 {
		l.inFlight = 8
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

// Resolve implements rbd.Goldens. It costs one read of a record. A golden of
// another backend wraps volume.ErrInvalid.
func (l *Library) Resolve(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	g, err := l.Get(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	if other := g.Backend(); other != l.backend {
		return volume.Golden{}, fmt.Errorf("golden %s is in backend %s: use a class with backend %[2]s: %w", g.Ref, other, volume.ErrInvalid)
	}
	switch g.State {
	case volume.GoldenReady:
		return g, nil
	case volume.GoldenCreating:
		return volume.Golden{}, fmt.Errorf("golden %s is not sealed: its import has to end first: %w", g.Ref, volume.ErrNotFound)
	}
	return volume.Golden{}, fmt.Errorf("golden %s is %s: use another version: %w", g.Ref, g.State, volume.ErrNotFound)
}

// Get returns a golden in whatever state it is, a deleted one too. Without
// one it wraps volume.ErrNotFound.
func (l *Library) Get(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	rec, err := l.read(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	return rec.golden(at)
}

// Children returns how many clones a golden has, in all tenants. One that has
// no sealed snapshot has none.
func (l *Library) Children(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (int, error) {
	count, err := l.store.Children(ctx, at, ref.Image(), volume.SealedSnapshot)
	if errors.Is(err, volume.ErrNotFound) {
		return 0, nil
	}
	return count, err
}

// readers is how many records of a page are read at once.
const readers = 16

// List returns one page of a tenant's goldens in the order of their names, in
// whatever state they are, and the name to go on after (empty: there are no
// more). A page can have fewer goldens than limit before the end. It opens no
// image.
func (l *Library) List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Golden, string, error) {
	names, err := l.store.ListRecords(ctx, at, recordPrefix, recordPrefix+after, limit)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	found := make([]*volume.Golden, len(names))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, name := range names {
		group.Go(func() (err error) {
			found[i], err = l.listed(ctx, at, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	next := ""
	if len(names) == limit {
		next = names[len(names)-1][len(recordPrefix):]
	}
	return compact(found), next, nil
}

// listed returns the golden of a record's name; nil when it has just gone.
func (l *Library) listed(ctx context.Context, at tenant.Place, name string) (*volume.Golden, error) {
	data, err := l.store.ReadRecord(ctx, at, name)
	if errors.Is(err, volume.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	g, err := rec.golden(at)
	return &g, err
}

func compact(found []*volume.Golden) []volume.Golden {
	all := make([]volume.Golden, 0, len(found))
	for _, one := range found {
		if one != nil {
			all = append(all, *one)
		}
	}
	return all
}

// read returns a golden's record. Without one it wraps volume.ErrNotFound and
// says how to make one.
func (l *Library) read(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (record, error) {
	data, err := l.store.ReadRecord(ctx, at, ref.Image())
	if errors.Is(err, volume.ErrNotFound) {
		ref.Tenant = ""
		how := "PATH"
		if l.backend == volume.CephFS {
			how += " --backend cephfs"
		}
		return record{}, fmt.Errorf("golden %s/%s does not exist: import it with `sdpctl golden import --tenant %s %s %s`: %w",
			at.Tenant(), ref, at.Tenant(), ref, how, volume.ErrNotFound)
	}
	if err != nil {
		return record{}, fmt.Errorf("read golden %s: %w", ref, err)
	}
	return decode(ref.Image(), data)
}

func (l *Library) create(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec record) error {
	data, err := rec.encode()
	if err != nil {
		return err
	}
	return l.store.CreateRecord(ctx, at, ref.Image(), data)
}

func (l *Library) update(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec record) error {
	data, err := rec.encode()
	if err != nil {
		return err
	}
	return l.store.UpdateRecord(ctx, at, ref.Image(), data)
}

// lock keeps other imports and deletions of the golden away.
func (l *Library) lock(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (unlock func(), err error) {
	unlock, err = l.store.LockRecord(ctx, at, ref.Image())
	if errors.Is(err, volume.ErrPending) {
		return nil, fmt.Errorf("golden %s is being imported or deleted just now: wait for that, or one minute where it was killed: %w", ref, err)
	}
	return unlock, err
}
