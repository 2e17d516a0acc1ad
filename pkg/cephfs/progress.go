package cephfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// state is how far a record's subject is.
type state string

const (
	creating state = "creating"
	ready    state = "ready"
	deleting state = "deleting"
)

// progress is the part of a record that changes. Every change is made to the
// bytes that were seen and to no others: of two controllers at work on the
// same thing the later one wins, and the other stops.
type progress struct {
	State   state  `json:"state"`
	Attempt string `json:"attempt"`

	seen []byte // as Ceph has it
}

func (p *progress) self() *progress { return p }

// advancing is a record with progress.
type advancing interface{ self() *progress }

// begin names a new attempt.
func begin(s state) progress { return progress{State: s, Attempt: rand.Text()} }

// addRecord writes a new record. One that is there meanwhile is another
// controller's.
func (p *Provisioner) addRecord(ctx context.Context, at tenant.Place, name string, rec advancing) error {
	data, err := encode(rec)
	if err != nil {
		return err
	}
	err = p.cluster.CreateRecord(ctx, at, name, data)
	switch {
	case err == nil:
		rec.self().seen = data
		return nil
	case errors.Is(err, volume.ErrExists):
		return fmt.Errorf("another controller has begun to make %s: %w", name, volume.ErrPending)
	case isOpen(err):
		return err
	}
	// The index may have an entry that nobody would ever ask for again.
	return undone(err, p.cluster.RemoveRecord(context.WithoutCancel(ctx), at, name))
}

// advance writes the record over the one that was seen.
func (p *Provisioner) advance(ctx context.Context, at tenant.Place, name string, rec advancing) error {
	data, err := encode(rec)
	if err != nil {
		return err
	}
	if err := p.cluster.SwapRecord(ctx, at, name, rec.self().seen, data); err != nil {
		return err
	}
	rec.self().seen = data
	return nil
}

// claim makes what the record tells of ours to take apart. Where another
// controller has removed the record, it comes back for that time: what we made
// since then would be left.
func (p *Provisioner) claim(ctx context.Context, at tenant.Place, name string, rec advancing) error {
	next := begin(deleting)
	next.seen = rec.self().seen
	*rec.self() = next
	err := p.advance(ctx, at, name, rec)
	if errors.Is(err, volume.ErrNotFound) {
		return p.addRecord(ctx, at, name, rec)
	}
	return err
}

// isOpen says that a failed change may still take effect, or is another
// controller's now. Then the record stays, and the next call, which the error
// asks for, goes by it.
func isOpen(err error) bool {
	return errors.Is(err, volume.ErrUnavailable) || errors.Is(err, volume.ErrPending) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// undone adds to a failure that what it left could not be removed: the answer
// is then to try again, whatever the failure was.
func undone(cause, cleanup error) error {
	if cleanup == nil {
		return cause
	}
	return fmt.Errorf("%w; what that left is not removed as yet: %w: %w", cause, cleanup, volume.ErrUnavailable)
}

func (p *Provisioner) readRecord(ctx context.Context, at tenant.Place, name string, record any) error {
	data, err := p.cluster.ReadRecord(ctx, at, name)
	if err != nil {
		return err
	}
	if err := decode(name, data, record); err != nil {
		return err
	}
	if rec, ok := record.(advancing); ok {
		rec.self().seen = data
	}
	return nil
}

func (p *Provisioner) readVolume(ctx context.Context, at tenant.Place, id volume.ID) (rec volumeRecord, err error) {
	if err = p.readRecord(ctx, at, volumePrefix+id.Hash, &rec); err == nil {
		err = rec.check(id)
	}
	return rec, err
}

// readyVolume returns the record of a finished volume. An unfinished one is
// not there as yet, and one that is being deleted no more.
func (p *Provisioner) readyVolume(ctx context.Context, at tenant.Place, id volume.ID) (volumeRecord, error) {
	rec, err := p.readVolume(ctx, at, id)
	if err != nil {
		return volumeRecord{}, fmt.Errorf("volume %s: %w", id, err)
	}
	if rec.State != ready {
		return volumeRecord{}, fmt.Errorf("volume %s is in state %s: %w", id, rec.State, volume.ErrNotFound)
	}
	return rec, nil
}

func (p *Provisioner) readSnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (rec snapshotRecord, err error) {
	if err = p.readRecord(ctx, at, snapshotPrefix+id.Hash, &rec); err == nil {
		err = rec.check(id)
	}
	return rec, err
}

// readySnapshot is readyVolume for snapshots.
func (p *Provisioner) readySnapshot(ctx context.Context, at tenant.Place, id volume.SnapshotID) (snapshotRecord, error) {
	rec, err := p.readSnapshot(ctx, at, id)
	if err != nil {
		return snapshotRecord{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	if rec.State != ready {
		return snapshotRecord{}, fmt.Errorf("snapshot %s is in state %s: %w", id, rec.State, volume.ErrNotFound)
	}
	return rec, nil
}
