package golden

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
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
	book     record.Book
	backend  volume.Backend
	inFlight int
	grace    time.Duration
	now      func() time.Time
}

// NewLibrary returns the library of what store holds.
func NewLibrary(store Store, o Options) *Library {
	l := &Library{store: store, book: record.NewBook(store), backend: volume.RBD, inFlight: o.InFlight, grace: o.Grace, now: o.Now}
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
	if err := g.Usable(); err != nil {
		return volume.Golden{}, err
	}
	return g, nil
}

// Get returns a golden in whatever state it is, a deleted one too. Without
// one it wraps volume.ErrNotFound.
func (l *Library) Get(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	rec, err := l.read(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	return rec.Describe(at.Tenant())
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

// List returns one page of a tenant's goldens in the order of their names, in
// whatever state they are, and the name to go on after (empty: there are no
// more). A page can have fewer goldens than limit before the end. It opens no
// image.
func (l *Library) List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Golden, string, error) {
	return record.Page(ctx, l.store, at, recordPrefix, after, limit, func(rest string) (volume.Golden, error) {
		var rec goldenRecord
		if err := l.book.Read(ctx, at, recordPrefix+rest, &rec); err != nil {
			return volume.Golden{}, err
		}
		return rec.Describe(at.Tenant())
	})
}

// read returns a golden's record. Without one it wraps volume.ErrNotFound and
// says how to make one.
func (l *Library) read(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (rec goldenRecord, err error) {
	err = l.book.Read(ctx, at, ref.Image(), &rec)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		ref.Tenant = ""
		how := "PATH"
		if l.backend == volume.CephFS {
			how += " --backend cephfs"
		}
		err = fmt.Errorf("golden %s/%s does not exist: import it with `sdpctl golden import --tenant %s %s %s`: %w",
			at.Tenant(), ref, at.Tenant(), ref, how, volume.ErrNotFound)
	case err != nil:
		err = fmt.Errorf("read golden %s: %w", ref, err)
	}
	return rec, err
}

// update writes a record over the one that was read or written last. Where
// another program has changed it since, it wraps volume.ErrPending.
func (l *Library) update(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec *goldenRecord) error {
	return l.book.Advance(ctx, at, ref.Image(), rec)
}

// lock keeps other imports and deletions of the golden away.
func (l *Library) lock(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (unlock func(), err error) {
	unlock, err = l.store.LockRecord(ctx, at, ref.Image())
	if errors.Is(err, volume.ErrPending) {
		return nil, fmt.Errorf("golden %s is being imported or deleted just now: wait for that, or one minute where it was killed: %w", ref, err)
	}
	return unlock, err
}
