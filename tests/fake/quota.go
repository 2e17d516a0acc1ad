package fake

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// quota is the shares of a namespace and how often they changed.
type quota struct {
	shares map[string]int64
	serial uint64
}

func (q *quota) usage() (u tenant.Usage) {
	for _, bytes := range q.shares {
		u.Volumes, u.Bytes = u.Volumes+1, u.Bytes+bytes
	}
	return u
}

// errMoved is returned when the quota has changed since it was looked at.
var errMoved = errors.New("the quota has changed")

// Reserve sets the share of the quota that it looked at, so one that takes
// effect late, after another change, does nothing.
func (c *Ceph) Reserve(ctx context.Context, at tenant.Place, name string, bytes int64) error {
	for {
		serial := c.quotaSerial(at)
		err := c.do(ctx, "Reserve", name, func() error {
			q := &c.space(at).quota
			if q.serial != serial {
				return errMoved
			}
			return q.set(at, name, bytes)
		})
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (c *Ceph) quotaSerial(at tenant.Place) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.space(at).quota.serial
}

func (q *quota) set(at tenant.Place, name string, bytes int64) error {
	old, ok := q.shares[name]
	after := q.usage()
	after.Bytes += bytes - old
	if !ok {
		after.Volumes++
	}
	if err := at.Limits().Admit(bytes, q.usage(), after); err != nil && (!ok || bytes > old) {
		return fmt.Errorf("tenant %s: %w", at.Tenant(), err)
	}
	if q.shares == nil {
		q.shares = map[string]int64{}
	}
	q.shares[name] = bytes
	q.serial++
	return nil
}

// Release removes the share.
func (c *Ceph) Release(ctx context.Context, at tenant.Place, name string) error {
	return c.do(ctx, "Release", name, func() error {
		q := &c.space(at).quota
		delete(q.shares, name)
		q.serial++
		return nil
	})
}

// HasShare says whether a share is set.
func (c *Ceph) HasShare(ctx context.Context, at tenant.Place, name string) (bool, error) {
	return get(ctx, c.Faults, "HasShare", name, func() (bool, error) {
		_, has := c.space(at).quota.shares[name]
		return has, nil
	})
}

// Used sums the shares up.
func (c *Ceph) Used(ctx context.Context, at tenant.Place) (tenant.Usage, error) {
	return get(ctx, c.Faults, "Used", at.String(), func() (tenant.Usage, error) {
		return c.space(at).quota.usage(), nil
	})
}
