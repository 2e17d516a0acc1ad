package ceph

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// coded is an error like go-ceph's, which are of an unexported type.
type coded int

func (c coded) Error() string  { return fmt.Sprintf("code %d", int(c)) }
func (c coded) ErrorCode() int { return int(c) }

func TestClassify(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"rados: not found":                {rados.ErrNotFound, volume.ErrNotFound},
		"rados: exists":                   {rados.ErrObjectExists, volume.ErrExists},
		"rados: not permitted":            {rados.ErrPermissionDenied, volume.ErrDenied},
		"rados: an operation's steps":     {rados.OperationError{OpError: rados.ErrObjectExists}, volume.ErrExists},
		"rbd: not found":                  {librbd.ErrNotFound, volume.ErrNotFound},
		"rbd: exists":                     {librbd.ErrExist, volume.ErrExists},
		"access":                          {coded(-int(syscall.EACCES)), volume.ErrDenied},
		"no space":                        {coded(-int(syscall.ENOSPC)), volume.ErrNoSpace},
		"quota":                           {coded(-int(syscall.EDQUOT)), volume.ErrNoSpace},
		"busy":                            {coded(-int(syscall.EBUSY)), volume.ErrInUse},
		"the lock's holder refuses":       {coded(-int(syscall.EROFS)), volume.ErrInUse},
		"snapshots":                       {coded(-int(syscall.ENOTEMPTY)), volume.ErrHasSnapshots},
		"bad argument":                    {coded(-int(syscall.EINVAL)), volume.ErrInvalid},
		"timed out":                       {coded(-int(syscall.ETIMEDOUT)), volume.ErrUnavailable},
		"blocklisted":                     {coded(-int(syscall.ESHUTDOWN)), volume.ErrUnavailable},
		"not connected":                   {rados.ErrNotConnected, volume.ErrUnavailable},
		"I/O":                             {coded(-int(syscall.EIO)), volume.ErrUnavailable},
		"interrupted":                     {coded(-int(syscall.EINTR)), volume.ErrUnavailable},
		"a number nobody has heard of":    {coded(-4000), volume.ErrUnavailable},
		"wrapped":                         {fmt.Errorf("index: %w", rados.ErrNotFound), volume.ErrNotFound},
		"a positive number":               {coded(int(syscall.ENOENT)), volume.ErrNotFound},
		"no answer of Ceph: stays itself": {librbd.ErrImageNotOpen, librbd.ErrImageNotOpen},
		"end of the image: stays itself":  {io.EOF, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			got := classify(c.err)
			if !errors.Is(got, c.want) || !strings.HasPrefix(got.Error(), c.err.Error()) {
				t.Errorf("classify(%v) = %v, want it to begin so and to wrap %v", c.err, got, c.want)
			}
			if n := sentinels(got); n > 1 {
				t.Errorf("%v wraps %d sentinels", got, n)
			}
		})
	}
	if err := classify(nil); err != nil {
		t.Errorf("classify(nil) = %v", err)
	}
}

func sentinels(err error) int {
	n := 0
	for _, s := range []error{
		volume.ErrInvalid, volume.ErrNotFound, volume.ErrNoSpace, volume.ErrDenied, volume.ErrInUse,
		volume.ErrHasSnapshots, volume.ErrPending, volume.ErrUnavailable, volume.ErrExists,
	} {
		if errors.Is(err, s) {
			n++
		}
	}
	return n
}

func TestIsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":       {nil, false},
		"blocklisted":   {classify(coded(-int(syscall.ESHUTDOWN))), true},
		"not connected": {classify(rados.ErrNotConnected), true},
		"stale":         {stale(coded(-int(syscall.ETIMEDOUT))), true},
		"timed out":     {classify(coded(-int(syscall.ETIMEDOUT))), false},
		"not found":     {classify(rados.ErrNotFound), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isBroken(c.err); got != c.want {
				t.Errorf("isBroken(%v) = %t", c.err, got)
			}
		})
	}
}

func TestFreeOf(t *testing.T) {
	const df = `{"stats":{"total_bytes":10},"pools":[{"name":"a","stats":{"max_avail":7}},{"name":"b","stats":{"max_avail":9}}]}`
	for name, c := range map[string]struct {
		df, pool string
		want     int64
		err      error
	}{
		"the pool":     {df, "b", 9, nil},
		"no such pool": {df, "c", 0, volume.ErrUnavailable},
		"no JSON":      {"df: busy", "a", 0, volume.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := freeOf([]byte(c.df), c.pool)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("freeOf = %d, %v; want %d, %v", got, err, c.want, c.err)
			}
		})
	}
}
