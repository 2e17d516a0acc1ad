package golden

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Waiting is the answer to a deletion that goes on later: the golden is
// retired, and nodes may read it still.
type Waiting struct {
	Golden volume.GoldenRef
	Until  time.Time // at the earliest
	Node   string    // that has a lease until then; empty: it is the grace
}

// Error implements error.
func (w *Waiting) Error() string { return w.Message() + ": " + volume.ErrInUse.Error() }

// Message is for people who did not make a mistake.
func (w *Waiting) Message() string {
	why := "nodes may have it mapped"
	if w.Node != "" {
		why = "node " + w.Node + " reads it"
	}
	return fmt.Sprintf("golden %s is retired, and its data goes at %s at the earliest: %s", w.Golden, w.Until.UTC().Format(time.RFC3339), why)
}

// Unwrap makes it a volume.ErrInUse.
func (w *Waiting) Unwrap() error { return volume.ErrInUse }

// refuseRead refuses while nodes may read the golden: an open for reading
// leaves no trace in Ceph, so they are given time, and say so themselves.
func (l *Library) refuseRead(ctx context.Context, at tenant.Place, ref volume.GoldenRef, rec goldenRecord) error {
	ref.Tenant = at.Tenant()
	if until := rec.Leaving.Add(l.grace); l.now().Before(until) {
		return &Waiting{Golden: ref, Until: until}
	}
	leases, err := l.store.Leases(ctx, at, rec.ImageID)
	if err != nil {
		return fmt.Errorf("look who reads golden %s: %w", ref, err)
	}
	last := &Waiting{Golden: ref, Until: l.now()}
	for node, until := range leases {
		if until.After(last.Until) {
			last.Until, last.Node = until, node
		}
	}
	if last.Node != "" {
		return last
	}
	return nil
}

// Purge goes on with the deletions of a place that had to wait, those of the
// library's backend.
func (l *Library) Purge(ctx context.Context, at tenant.Place) error {
	var failed []error
	for after := ""; ; {
		names, err := l.store.ListRecords(ctx, at, recordPrefix, recordPrefix+after, purgePage)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		for _, name := range names {
			failed = append(failed, l.purge(ctx, at, name))
			after = name[len(recordPrefix):]
		}
		if len(names) < purgePage {
			return errors.Join(failed...)
		}
	}
}

// purgePage is how many names are asked for at once.
const purgePage = 256

// purge deletes the golden of a record if that was asked for. One that has to
// wait, or that another call is busy with, is left for the next time.
func (l *Library) purge(ctx context.Context, at tenant.Place, name string) error {
	var rec goldenRecord
	err := l.book.Read(ctx, at, name, &rec)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil || rec.State != volume.GoldenRetired || rec.Leaving.IsZero() || rec.Backend() != l.backend {
		return err
	}
	ref, err := volume.ParseGoldenRef(rec.Golden)
	if err != nil {
		return fmt.Errorf("record %s in %s: %w", name, at, err)
	}
	err = l.Delete(ctx, at, ref)
	if errors.Is(err, volume.ErrInUse) || errors.Is(err, volume.ErrPending) {
		return nil
	}
	return err
}
