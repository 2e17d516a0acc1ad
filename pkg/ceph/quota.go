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
	data  []byte // as Ceph has it; nil without an object
	share int64  // of the name asked for; absent: -1
}

const noShare = -1

func (q quota) usage() tenant.Usage { return tenant.Usage{Volumes: q.Volumes, Bytes: q.Bytes} }

// with is the usage with another share for the name; noShare for none.
func (q quota) with(share int64) tenant.Usage {
	u := q.usage()
	if q.share != noShare {
		u.Volumes, u.Bytes = u.Volumes-1, u.Bytes-q.share
	}
	if share != noShare {
		u.Volumes, u.Bytes = u.Volumes+1, u.Bytes+share
	}
	return u
}

// Reserve implements rbd.Quota.
func (c *Cluster) Reserve(ctx context.Context, at tenant.Place, name string, bytes int64) error {
	err := c.changeQuota(ctx, at, name, bytes, func(q quota) error {
		if err := at.Limits().Admit(bytes, q.usage(), q.with(bytes)); err != nil && bytes > q.share {
			return fmt.Errorf("tenant %s: %w", at.Tenant(), err)
		}
		return nil
	})
	return about("reserve the share of", at, name, err)
}

// Release implements rbd.Quota. It writes in any case: a Reserve that is still
// on its way then compares with a sum that is no more.
func (c *Cluster) Release(ctx context.Context, at tenant.Place, name string) error {
	err := c.changeQuota(ctx, at, name, noShare, func(quota) error { return nil })
	return about("release the share of", at, name, err)
}

// Used implements rbd.Quota.
func (c *Cluster) Used(ctx context.Context, at tenant.Place) (tenant.Usage, error) {
	var q quota
	err := c.in(ctx, at, func(ioctx *rados.IOContext) (err error) {
		q, err = readQuota(ioctx, "")
		return err
	})
	return q.usage(), about("sum of the shares", at, quotaObject, err)
}

// changeQuota sets a share. Where the quota has changed since it was read, it
// begins again.
func (c *Cluster) changeQuota(ctx context.Context, at tenant.Place, name string, share int64, admit func(quota) error) error {
	defer c.quotas.take(ctx, at.String())()
	for {
		err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
			q, err := readQuota(ioctx, name)
			if err != nil {
				return err
			}
			if err := admit(q); err != nil {
				return err
			}
			return q.write(ioctx, name, share)
		})
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

// errMoved is returned when the quota has changed since it was read.
var errMoved = errors.New("the quota has changed meanwhile")

// readQuota reads the sum and the name's share in one operation.
func readQuota(ioctx *rados.IOContext, name string) (quota, error) {
	op := rados.CreateReadOp()
	defer op.Release()
	buffer := make([]byte, quotaSize)
	read := op.Read(0, buffer)
	shares := op.GetOmapValuesByKeys([]string{name})
	err := op.Operate(ioctx, quotaObject, rados.OperationNoFlag)
	if is(err, syscall.ENOENT) {
		return quota{share: noShare}, nil
	}
	if err != nil {
		return quota{}, err
	}
	q := quota{data: buffer[:read.BytesRead], share: noShare}
	if err := json.Unmarshal(q.data, &q.sum); err != nil {
		return q, fmt.Errorf("%s is damaged: %w: %w", quotaObject, err, volume.ErrUnavailable)
	}
	if q.Version != sumVersion {
		return q, fmt.Errorf("%s has version %d, this driver knows %d: upgrade the driver: %w", quotaObject, q.Version, sumVersion, volume.ErrUnsupported)
	}
	pair, err := shares.Next()
	if err != nil || pair == nil {
		return q, err
	}
	q.share, err = strconv.ParseInt(string(pair.Value), 10, 64)
	return q, err
}

// write sets the share and the sum in one operation, over what was read.
func (q quota) write(ioctx *rados.IOContext, name string, share int64) error {
	after := q.with(share)
	text, err := json.Marshal(sum{Version: sumVersion, Serial: q.Serial + 1, Volumes: after.Volumes, Bytes: after.Bytes})
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
	if share == noShare {
		op.RmOmapKeys([]string{name})
	} else {
		op.SetOmap(map[string][]byte{name: strconv.AppendInt(nil, share, 10)})
	}
	err = op.Operate(ioctx, quotaObject, rados.OperationNoFlag)
	if errnoOf(err) >= mismatch || is(err, syscall.EEXIST, syscall.ENOENT) {
		return errMoved
	}
	return err
}
