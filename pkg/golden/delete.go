package golden

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Retire ends new use of a golden; volumes made from it go on. To retire a
// retired one is success. One that was never sealed wraps volume.ErrInvalid.
func (l *Library) Retire(ctx context.Context, at tenant.Place, ref volume.GoldenRef) error {
	unlock, err := l.lock(ctx, at, ref)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.read(ctx, at, ref)
	if err != nil {
		return err
	}
	switch rec.State {
	case volume.GoldenCreating:
		return fmt.Errorf("golden %s was never sealed: import it again or delete it: %w", ref, volume.ErrInvalid)
	case volume.GoldenReady:
		return l.retire(ctx, at, ref, rec)
	}
	return nil
}

func (l *Library) retire(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec goldenRecord) error {
	rec.State = volume.GoldenRetired
	return l.update(ctx, at, ref, &rec)
}

// Delete retires a golden and, when the grace is over and no node's lease is
// left, removes it; until then it is a *Waiting. What is left is a record that
// keeps the name from being used again; of an import that did not end nothing
// is left, its name was never used. A golden that has clones wraps
// volume.ErrInUse. To delete a deleted one is success, and a deletion that was
// interrupted is finished by the next, or by Purge. One of another backend
// wraps volume.ErrInvalid: its image is not to be found here.
func (l *Library) Delete(ctx context.Context, at tenant.Place, ref volume.GoldenRef) error {
	unlock, err := l.lock(ctx, at, ref)
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.read(ctx, at, ref)
	if err != nil {
		return err
	}
	switch {
	case rec.State == volume.GoldenDeleted:
		return nil
	case rec.Backend() != l.backend:
		return fmt.Errorf("golden %s is in backend %s: it cannot be deleted from backend %s: %w", ref, rec.Backend(), l.backend, volume.ErrInvalid)
	case rec.State == volume.GoldenCreating:
		return l.abandon(ctx, at, ref)
	}
	return l.remove(ctx, at, ref, rec)
}

// remove takes a sealed golden apart. It is retired before the clones are
// counted for good: from then on nobody begins a new one. A clone that was
// begun before and is made after the count keeps its data all the same: Ceph
// keeps the snapshot and refuses to remove the image.
func (l *Library) remove(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec goldenRecord) error {
	if err := l.refuseInUse(ctx, at, ref); err != nil {
		return err
	}
	if rec.Leaving.IsZero() {
		rec.State, rec.Leaving = volume.GoldenRetired, l.now()
		if err := l.update(ctx, at, ref, &rec); err != nil {
			return err
		}
		if err := l.refuseInUse(ctx, at, ref); err != nil {
			return err
		}
	}
	if err := l.refuseRead(ctx, at, ref, rec); err != nil {
		return err
	}
	if err := l.removeImage(ctx, at, ref); err != nil {
		return err
	}
	if err := l.store.RemoveLeases(ctx, at, rec.ImageID); err != nil {
		return err
	}
	rec.State = volume.GoldenDeleted
	return l.update(ctx, at, ref, &rec)
}

// refuseInUse refuses while the golden has clones.
func (l *Library) refuseInUse(ctx context.Context, at tenant.Place, ref volume.GoldenRef) error {
	count, err := l.Children(ctx, at, ref)
	if err != nil {
		return fmt.Errorf("count the clones of golden %s: %w", ref, err)
	}
	if count == 0 {
		return nil
	}
	ref.Tenant = at.Tenant()
	if l.backend == volume.CephFS {
		return fmt.Errorf("golden %s is needed by %d volumes: delete those first, `sdpctl volume list --golden %[1]s` shows those whose copy has ended: %[3]w", ref, count, volume.ErrInUse)
	}
	return fmt.Errorf("golden %s has %d clones: delete those volumes first, `sdpctl volume list --golden %[1]s` shows them, and `rbd children --all %[3]s/%[4]s/%[5]s@%[6]s` also what is kept of deleted ones (del.…) until their last snapshot or copy goes: %[7]w",
		ref, count, at.Pool(), at.Namespace(), ref.Image(), volume.SealedSnapshot, volume.ErrInUse)
}

// removeImage removes the snapshot and the image, whatever of both is there.
func (l *Library) removeImage(ctx context.Context, at tenant.Place, ref volume.GoldenRef) error {
	if err := l.store.RemoveSnapshot(ctx, at, ref.Image(), volume.SealedSnapshot); err != nil {
		return err
	}
	err := l.store.RemoveImage(ctx, at, ref.Image())
	if errors.Is(err, volume.ErrHasSnapshots) {
		return fmt.Errorf("golden %s got a clone while it was deleted: delete it again when that volume is gone (%w): %w", ref, err, volume.ErrInUse)
	}
	return err
}

// abandon removes all that an import which did not end has left.
func (l *Library) abandon(ctx context.Context, at tenant.Place, ref volume.GoldenRef) error {
	if err := l.removeImage(ctx, at, ref); err != nil {
		return err
	}
	return l.store.RemoveRecord(ctx, at, ref.Image())
}
