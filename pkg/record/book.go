package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Book is where records are written and read. Safe for concurrent use, but not
// on one record.
type Book struct{ store Store }

// NewBook returns the book of what a store holds.
func NewBook(s Store) Book { return Book{s} }

// Read reads a record; volume.ErrNotFound without one.
func (b Book) Read(ctx context.Context, at tenant.Place, name string, rec Record) error {
	data, err := b.store.ReadRecord(ctx, at, name)
	if err != nil {
		return err
	}
	return Decode(name, data, rec)
}

// Add writes a new record. One that is there meanwhile is another
// controller's: volume.ErrPending.
func (b Book) Add(ctx context.Context, at tenant.Place, name string, rec Record) error {
	err := b.Note(ctx, at, name, rec)
	switch {
	case errors.Is(err, volume.ErrExists):
		return fmt.Errorf("another controller has begun to make %s: %w", name, volume.ErrPending)
	case err == nil || volume.IsOpen(err):
		return err
	}
	// The index may have an entry that nobody would ever ask for again.
	return volume.Undone(err, b.store.RemoveRecord(context.WithoutCancel(ctx), at, name))
}

// Note writes a new record; volume.ErrExists when there is one.
func (b Book) Note(ctx context.Context, at tenant.Place, name string, rec Record) error {
	data, err := Encode(rec)
	if err != nil {
		return err
	}
	if err := b.store.CreateRecord(ctx, at, name, data); err != nil {
		return err
	}
	rec.head().seen = data
	return nil
}

// Advance writes the record over the one that was seen. It wraps
// volume.ErrPending where another controller has changed it since.
func (b Book) Advance(ctx context.Context, at tenant.Place, name string, rec Record) error {
	data, err := Encode(rec)
	if err != nil {
		return err
	}
	if err := b.store.SwapRecord(ctx, at, name, rec.head().seen, data); err != nil {
		return err
	}
	rec.head().seen = data
	return nil
}

// Claim makes what the record tells of the caller's to take apart. Where
// another controller has removed the record, it comes back for that time: what
// the caller made since then would be left.
func (b Book) Claim(ctx context.Context, at tenant.Place, name string, rec Advancing) error {
	next := Begin(Deleting)
	next.seen = rec.head().seen
	*rec.progress() = next
	err := b.Advance(ctx, at, name, rec)
	if errors.Is(err, volume.ErrNotFound) {
		return b.Add(ctx, at, name, rec)
	}
	return err
}

// Drop removes a record that was claimed. It wraps volume.ErrPending where
// another controller has claimed it since, or has made its subject anew: the
// record is that one's then.
func (b Book) Drop(ctx context.Context, at tenant.Place, name string, rec Record) error {
	return b.store.DropRecord(ctx, at, name, rec.head().seen)
}

// Hold wraps volume.ErrPending unless the record still is what was seen.
func (b Book) Hold(ctx context.Context, at tenant.Place, name string, rec Record) error {
	data, err := b.store.ReadRecord(ctx, at, name)
	if err != nil && !errors.Is(err, volume.ErrNotFound) {
		return err
	}
	if !bytes.Equal(data, rec.head().seen) {
		return fmt.Errorf("another controller works on %s: %w", name, volume.ErrPending)
	}
	return nil
}
