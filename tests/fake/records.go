package fake

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CreateRecord writes the index entry, then the record.
func (c *Ceph) CreateRecord(ctx context.Context, at tenant.Place, name string, data []byte) error {
	return c.do(ctx, "CreateRecord", name, func() error {
		c.space(at).index[name] = true
		return nil
	}, func() error {
		s := c.space(at)
		if _, ok := s.records[name]; ok {
			return fmt.Errorf("record: %w", volume.ErrExists)
		}
		s.records[name] = bytes.Clone(data)
		return nil
	})
}

// ReadRecord returns a record's bytes.
func (c *Ceph) ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error) {
	return get(ctx, c.Faults, "ReadRecord", name, func() ([]byte, error) { return c.space(at).record(name) })
}

func (s *space) record(name string) ([]byte, error) {
	data, ok := s.records[name]
	if !ok {
		return nil, fmt.Errorf("record: %w", volume.ErrNotFound)
	}
	return bytes.Clone(data), nil
}

// SwapRecord replaces a record's bytes if they still are old.
func (c *Ceph) SwapRecord(ctx context.Context, at tenant.Place, name string, old, data []byte) error {
	return c.do(ctx, "SwapRecord", name, func() error {
		s := c.space(at)
		has, err := s.record(name)
		if err != nil {
			return err
		}
		if !bytes.Equal(has, old) {
			return fmt.Errorf("the record is another one: %w", volume.ErrPending)
		}
		s.records[name] = bytes.Clone(data)
		return nil
	})
}

// RemoveRecord removes the record, then the index entry.
func (c *Ceph) RemoveRecord(ctx context.Context, at tenant.Place, name string) error {
	return c.do(ctx, "RemoveRecord", name, func() error {
		delete(c.space(at).records, name)
		return nil
	}, func() error {
		delete(c.space(at).index, name)
		return nil
	})
}

// DropRecord removes the index entry, then the record if it still is old.
func (c *Ceph) DropRecord(ctx context.Context, at tenant.Place, name string, old []byte) error {
	return c.do(ctx, "DropRecord", name, func() error {
		delete(c.space(at).index, name)
		return nil
	}, func() error {
		s := c.space(at)
		has, ok := s.records[name]
		if ok && !bytes.Equal(has, old) {
			s.index[name] = true
			return fmt.Errorf("the record is another one: %w", volume.ErrPending)
		}
		delete(s.records, name)
		return nil
	})
}

// ListRecords returns a page of the index.
func (c *Ceph) ListRecords(ctx context.Context, at tenant.Place, prefix, after string, limit int) ([]string, error) {
	return get(ctx, c.Faults, "ListRecords", prefix, func() ([]string, error) {
		var names []string
		for name := range c.space(at).index {
			if strings.HasPrefix(name, prefix) && name > after {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names[:min(limit, len(names))], nil
	})
}

// LockRecord takes an exclusive lock on a name.
func (c *Ceph) LockRecord(ctx context.Context, at tenant.Place, name string) (unlock func(), err error) {
	var holder uint64
	err = c.do(ctx, "LockRecord", name, func() error {
		s := c.space(at)
		if s.locks[name] != 0 {
			return fmt.Errorf("somebody has locked it: %w", volume.ErrPending)
		}
		holder = c.next()
		s.locks[name] = holder
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s := c.space(at); s.locks[name] == holder {
			delete(s.locks, name)
		}
	}), nil
}
