package ceph

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// recordPrefix is what a record's object has before its name.
const recordPrefix = "sdp."

// indexObject holds the names of a namespace's records as the keys of its
// omap, which Ceph keeps in byte order. One object is enough: an entry costs
// one small write, some 700 a second on one placement group, and Ceph begins
// to warn of a large omap at 200,000 keys; a tenant has thousands of volumes.
const indexObject = "sdp.index"

// maxRecord bounds a record, so that one operation reads it whole and never
// half of an old and half of a new one.
const maxRecord = 64 << 10

// CreateRecord implements record.Store. The index entry comes first: one
// without a record is harmless, a record that no list shows would be lost.
func (c *Cluster) CreateRecord(ctx context.Context, at tenant.Place, name string, data []byte) error {
	err := checkRecord(data)
	if err == nil {
		err = c.list(ctx, indexEntry{at: at, name: name})
	}
	if err == nil {
		err = c.in(ctx, at, func(ioctx *rados.IOContext) error {
			return write(ioctx, recordPrefix+name, data, func(op *rados.WriteOp) { op.Create(rados.CreateExclusive) })
		})
	}
	return about("create record", at, name, err)
}

// indexEntry is a record's name in its place's index.
type indexEntry struct {
	at   tenant.Place
	name string
}

// list adds an entry, together with those that come at the same time.
func (c *Cluster) list(ctx context.Context, e indexEntry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.index.do(e.at.String(), e)
}

// addEntries adds a batch of entries of one place.
func (c *Cluster) addEntries(_ string, entries []indexEntry) []error {
	names := make(map[string][]byte, len(entries))
	for _, e := range entries {
		names[e.name] = nil
	}
	err := c.in(context.Background(), entries[0].at, func(ioctx *rados.IOContext) error { return ioctx.SetOmap(indexObject, names) })
	if err != nil {
		err = fmt.Errorf("index: %w", err)
	}
	return all(len(entries), err)
}

// write replaces an object's bytes in one operation, under a condition.
func write(ioctx *rados.IOContext, object string, data []byte, condition func(*rados.WriteOp)) error {
	op := rados.CreateWriteOp()
	defer op.Release()
	condition(op)
	op.WriteFull(data)
	return op.Operate(ioctx, object, rados.OperationNoFlag)
}

func checkRecord(data []byte) error {
	if len(data) == 0 || len(data) > maxRecord {
		return fmt.Errorf("a record of %d bytes (1 to %d are possible): %w", len(data), maxRecord, volume.ErrInvalid)
	}
	return nil
}

// ReadRecord implements record.Store.
func (c *Cluster) ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error) {
	var data []byte
	err := c.in(ctx, at, func(ioctx *rados.IOContext) (err error) {
		data, err = readObject(ioctx, recordPrefix+name)
		return err
	})
	return data, about("read record", at, name, err)
}

// readObject reads a small object whole.
func readObject(ioctx *rados.IOContext, object string) ([]byte, error) {
	buffer := make([]byte, maxRecord)
	n, err := ioctx.Read(object, buffer, 0)
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), buffer[:n]...), nil
}

// SwapRecord implements record.Store.
func (c *Cluster) SwapRecord(ctx context.Context, at tenant.Place, name string, old, data []byte) error {
	err := checkRecord(data)
	if err == nil {
		err = c.in(ctx, at, func(ioctx *rados.IOContext) error { return swap(ioctx, recordPrefix+name, old, data) })
	}
	return about("swap record", at, name, err)
}

// mismatch is the number that the OSD answers a comparison with which fails in
// the first byte; one that fails later adds that byte's place (MAX_ERRNO in
// Ceph's include/rados.h).
const mismatch = 4095

// swap compares and writes in one operation. No record is another one's
// beginning, so comparing the length of old is enough.
func swap(ioctx *rados.IOContext, object string, old, data []byte) error {
	err := write(ioctx, object, data, func(op *rados.WriteOp) {
		op.AssertExists()
		op.CmpExt(old, 0)
	})
	if errnoOf(err) >= mismatch {
		return fmt.Errorf("it has changed meanwhile: %w", volume.ErrPending)
	}
	return err
}

// RemoveRecord implements record.Store.
func (c *Cluster) RemoveRecord(ctx context.Context, at tenant.Place, name string) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		if err := absentIsDone(ioctx.Delete(recordPrefix + name)); err != nil {
			return err
		}
		return absentIsDone(ioctx.RmOmapKeys(indexObject, []string{name}))
	})
	return about("remove record", at, name, err)
}

// DropRecord implements record.Store. The entry goes first: were it the last,
// it could be that of a record which another controller has made meanwhile.
func (c *Cluster) DropRecord(ctx context.Context, at tenant.Place, name string, old []byte) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		if err := absentIsDone(ioctx.RmOmapKeys(indexObject, []string{name})); err != nil {
			return err
		}
		err := drop(ioctx, recordPrefix+name, old)
		if errors.Is(err, volume.ErrPending) {
			err = errors.Join(err, ioctx.SetOmap(indexObject, map[string][]byte{name: nil}))
		}
		return err
	})
	return about("drop record", at, name, err)
}

// drop compares and removes in one operation.
func drop(ioctx *rados.IOContext, object string, old []byte) error {
	op := rados.CreateWriteOp()
	defer op.Release()
	op.AssertExists()
	op.CmpExt(old, 0)
	op.Remove()
	err := op.Operate(ioctx, object, rados.OperationNoFlag)
	if errnoOf(err) >= mismatch {
		return fmt.Errorf("it has changed meanwhile: %w", volume.ErrPending)
	}
	return absentIsDone(err)
}

func absentIsDone(err error) error {
	if is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

// listChunk is how many names one operation asks for. An OSD answers with
// fewer where it has a lower limit.
const listChunk = 1024

// ListRecords implements record.Store.
func (c *Cluster) ListRecords(ctx context.Context, at tenant.Place, prefix, after string, limit int) ([]string, error) {
	var names []string
	err := c.in(ctx, at, func(ioctx *rados.IOContext) (err error) {
		names, err = listKeys(ioctx, indexObject, prefix, after, limit)
		return absentIsDone(err)
	})
	return names, about("list records", at, prefix+"*", err)
}

func listKeys(ioctx *rados.IOContext, object, prefix, after string, limit int) ([]string, error) {
	var keys []string
	for len(keys) < limit {
		before := len(keys)
		want := min(limit-before, listChunk)
		err := ioctx.ListOmapValues(object, after, prefix, int64(want), func(key string, _ []byte) { keys = append(keys, key) })
		if err != nil {
			return nil, err
		}
		if len(keys) == before {
			break
		}
		after = keys[len(keys)-1]
	}
	return keys, nil
}

// about says what was being done on what.
func about(doing string, at tenant.Place, name string, err error) error {
	if err == nil {
		return nil
	}
	if is(err, syscall.EROFS) {
		err = fmt.Errorf("a node has it mapped and keeps its lock (krbd does while a writable volume is staged): end the pods that use it: %w", err)
	}
	return fmt.Errorf("%s %s in %s: %w", doing, name, at, err)
}
