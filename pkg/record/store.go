package record

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Store holds records in the tenant's namespace, plus one ordered index of
// their names, so that lists come in pages and in order. Each backend has its
// own: no other one's names are among them.
//
// Every call is bounded in time and returns volume.ErrUnavailable when it is
// not known whether a change took effect. All methods are safe for concurrent
// use, also on the same name.
type Store interface {
	// CreateRecord writes a new record and its index entry. The entry is
	// there before the record is. It wraps volume.ErrExists when there is one.
	CreateRecord(ctx context.Context, at tenant.Place, name string, data []byte) error
	// ReadRecord returns a record's bytes; volume.ErrNotFound without one,
	// volume.ErrDenied when the connection's user may not read it.
	ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error)
	// SwapRecord replaces a record's bytes if they still are old, in one step;
	// volume.ErrPending when they are others, volume.ErrNotFound without one.
	SwapRecord(ctx context.Context, at tenant.Place, name string, old, data []byte) error
	// RemoveRecord removes the record and then its index entry. Absent is
	// success, for each of both.
	RemoveRecord(ctx context.Context, at tenant.Place, name string) error
	// DropRecord removes the index entry and then, in one step, the record if
	// its bytes still are old. When they are others it puts the entry back and
	// wraps volume.ErrPending. Absent is success, for each of both.
	DropRecord(ctx context.Context, at tenant.Place, name string, old []byte) error
	// ListRecords returns up to limit names that begin with prefix and sort
	// after `after`, in byte order. A name's record may be gone already.
	ListRecords(ctx context.Context, at tenant.Place, prefix, after string, limit int) ([]string, error)
}
