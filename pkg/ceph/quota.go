package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// quotaObject holds the sum of a namespace's shares in its data and the shares
// in its omap (name → bytes in decimal). A change compares the data, so it is
// made to the sum that it was computed from, and writes both.
const quotaObject = "sdp.quota"

// quotaSize is the fixed length of the data: what is compared is all there is.
const quotaSize = 128

// sum is the data of the quota object. Serial grows with every change, so that
// two that are alike in numbers are not taken for each other.
type sum struct {
	Version int    `json:"v"`
	Serial  uint64 `json:"serial"`
	Volumes int64  `json:"volumes"`
	Bytes   int64  `json:"bytes"`
}

const sumVersion = 1

// quota is what is known of a place's quota at one time.
type quota struct {
	sum
	data   []byte           // as Ceph has it; nil without an object
	shares map[string]int64 // of the names asked for; noShare: absent
}

const noShare = -1

func (q quota) usage() tenant.Usage { return tenant.Usage{Volumes: q.Volumes, Bytes: q.Bytes} }

// with is the usage with another share for the name; noShare for none.
func (q quota) with(name string, share int64) tenant.Usage {
	u := q.usage()
	if had := q.shares[name]; had != noShare {
		u.Volumes, u.Bytes = u.Volumes-1, u.Bytes-had
	}
	if share != noShare {
		u.Volumes, u.Bytes = u.Volumes+1, u.Bytes+share
	}
	return u
}

// set gives the name another share.
func (q *quota) set(name string, share int64) {
	after := q.with(name, share)
	q.Volumes, q.Bytes, q.shares[name] = after.Volumes, after.Bytes, share
}

// shareChange is one name's share in one place, to be set.
type shareChange struct {
	at    tenant.Place
	name  string
	share int64 // noShare: to be removed
}

// admit refuses a change that leads over the tenant's limits.
func (s shareChange) admit(q quota) error {
	if s.share == noShare || s.share <= q.shares[s.name] {
		return nil
	}
	if err := s.at.Limits().Admit(s.share, q.usage(), q.with(s.name, s.share)); err != nil {
		return fmt.Errorf("tenant %s: %w", s.at.Tenant(), err)
	}
	return nil
}

// Reserve implements rbd.Quota.
func (c *Cluster) Reserve(ctx context.Context, at tenant.Place, name string, bytes int64) error {
	err := c.changeQuota(ctx, shareChange{at: at, name: name, share: bytes})
	return about("reserve the share of", at, name, err)
}

// Release implements rbd.Quota. It writes in any case: a Reserve that is still
// on its way then compares with a sum that is no more.
func (c *Cluster) Release(ctx context.Context, at tenant.Place, name string) error {
	err := c.changeQuota(ctx, shareChange{at: at, name: name, share: noShare})
	return about("release the share of", at, name, err)
}

// changeQuota makes one change, together with those that come at the same time.
func (c *Cluster) changeQuota(ctx context.Context, change shareChange) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.quotas.do(change.at.String(), change)
}

// HasShare implements rbd.Quota.
func (c *Cluster) HasShare(ctx context.Context, at tenant.Place, name string) (has bool, err error) {
	err = c.in(ctx, at, func(ioctx *rados.IOContext) error {
		q, err := readQuota(ioctx, []shareChange{{name: name}})
		has = err == nil && q.shares[name] != noShare
		return err
	})
	return has, about("look for the share of", at, name, err)
}

// Used implements rbd.Quota.
func (c *Cluster) Used(ctx context.Context, at tenant.Place) (tenant.Usage, error) {
	var q quota
	err := c.in(ctx, at, func(ioctx *rados.IOContext) (err error) {
		q, err = readQuota(ioctx, nil)
		return err
	})
	return q.usage(), about("sum of the shares", at, quotaObject, err)
}

// changeQuotas makes a batch of changes of one place. Where the quota has
// changed since it was read, it begins again.
func (c *Cluster) changeQuotas(_ string, changes []shareChange) []error {
	var refused []error
	for {
		err := c.in(context.Background(), changes[0].at, func(ioctx *rados.IOContext) (err error) {
			refused, err = changeQuotas(ioctx, changes)
			return err
		})
		switch {
		case err == nil:
			return refused
		case !errors.Is(err, errMoved):
			return all(len(changes), err)
		}
	}
}

// changeQuotas reads the quota, makes the changes that the limits allow, in
// order, and writes them over what was read. It returns what was refused.
func changeQuotas(ioctx *rados.IOContext, changes []shareChange) (refused []error, err error) {
	q, err := readQuota(ioctx, changes)
	if err != nil {
		return nil, err
	}
	refused, changed := make([]error, len(changes)), false
	for i, change := range changes {
		if refused[i] = change.admit(q); refused[i] == nil {
			q.set(change.name, change.share)
			changed = true
		}
	}
	if !changed {
		return refused, nil
	}
	return refused, q.write(ioctx)
}

// errMoved is returned when the quota has changed since it was read.
var errMoved = errors.New("the quota has changed meanwhile")

// readQuota reads the sum and the shares of the changes' names in one operation.
func readQuota(ioctx *rados.IOContext, changes []shareChange) (quota, error) {
	q := quota{shares: map[string]int64{}}
	var names []string
	for _, change := range changes {
		if _, twice := q.shares[change.name]; !twice {
			names = append(names, change.name)
		}
		q.shares[change.name] = noShare
	}
	op := rados.CreateReadOp()
	defer op.Release()
	buffer := make([]byte, quotaSize)
	read := op.Read(0, buffer)
	var shares *rados.ReadOpOmapGetValsByKeysStep
	if len(names) > 0 {
		shares = op.GetOmapValuesByKeys(names)
	}
	err := op.Operate(ioctx, quotaObject, rados.OperationNoFlag)
	if is(err, syscall.ENOENT) {
		return q, nil
	}
	if err != nil {
		return q, err
	}
	if err := q.decode(buffer[:read.BytesRead]); err != nil {
		return q, err
	}
	return q, q.collect(shares)
}

func (q *quota) decode(data []byte) error {
	q.data = data
	if err := json.Unmarshal(data, &q.sum); err != nil {
		return fmt.Errorf("%s is damaged: %w: %w", quotaObject, err, volume.ErrUnavailable)
	}
	if q.Version != sumVersion {
		return fmt.Errorf("%s has version %d, this driver knows %d: upgrade the driver: %w", quotaObject, q.Version, sumVersion, volume.ErrUnsupported)
	}
	return nil
}

// collect takes the shares that the step has read.
func (q *quota) collect(shares *rados.ReadOpOmapGetValsByKeysStep) error {
	for shares != nil {
		pair, err := shares.Next()
		if err != nil || pair == nil {
			return err
		}
		if q.shares[pair.Key], err = strconv.ParseInt(string(pair.Value), 10, 64); err != nil {
			return fmt.Errorf("share of %s is damaged: %w: %w", pair.Key, err, volume.ErrUnavailable)
		}
	}
	return nil
}

// write sets the shares and the sum in one operation, over what was read.
func (q *quota) write(ioctx *rados.IOContext) error {
	text, err := json.Marshal(sum{Version: sumVersion, Serial: q.Serial + 1, Volumes: q.Volumes, Bytes: q.Bytes})
	if err != nil {
		return err
	}
	op := rados.CreateWriteOp()
	defer op.Release()
	if q.data == nil {
		op.Create(rados.CreateExclusive)
	} else {
		op.AssertExists()
		op.CmpExt(q.data, 0)
	}
	op.WriteFull(fmt.Appendf(nil, "%-*s", quotaSize, text))
	if set, gone := q.entries(); len(gone) == 0 {
		op.SetOmap(set)
	} else {
		op.RmOmapKeys(gone)
		if len(set) > 0 {
			op.SetOmap(set)
		}
	}
	err = op.Operate(ioctx, quotaObject, rados.OperationNoFlag)
	if q.isMoved(err) {
		return errMoved
	}
	return err
}

// isMoved says that a write failed by its condition. That an object is not
// found which was to be made is another matter: its pool is gone.
func (q *quota) isMoved(err error) bool {
	if q.data == nil {
		return is(err, syscall.EEXIST)
	}
	return errnoOf(err) >= mismatch || is(err, syscall.ENOENT)
}

// entries are the shares as the omap is to have them, and those to go.
func (q *quota) entries() (set map[string][]byte, gone []string) {
	set = map[string][]byte{}
	for name, share := range q.shares {
		if share == noShare {
			gone = append(gone, name)
			continue
		}
		set[name] = strconv.AppendInt(nil, share, 10)
	}
	return set, gone
}
