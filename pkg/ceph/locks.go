package ceph

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// A lock is Ceph's advisory lock on an object of its own, which goes with the
// lock: locking a record's object would make the record.
const (
	lockPrefix = "sdp.lock."
	lockName   = "sdp"
	lockTime   = 45 * time.Second // after its last renewal a lock expires
	lockRenew  = 10 * time.Second // several renewals may fail before that
)

// The flags of rados_lock_exclusive (rados/librados.h).
const (
	lockMustNotExist byte = 0
	lockMustRenew    byte = 1 << 1
)

// LockRecord implements golden.Store.
func (c *Cluster) LockRecord(ctx context.Context, at tenant.Place, name string) (func(), error) {
	l := newLock(c, at, name, lockTime)
	if err := l.take(ctx, lockMustNotExist); err != nil {
		return nil, about("lock", at, name, err)
	}
	go l.keep(context.WithoutCancel(ctx))
	return sync.OnceFunc(func() { l.end(context.WithoutCancel(ctx)) }), nil
}

// lock is a lock that this process holds.
type lock struct {
	cluster *Cluster
	at      tenant.Place
	object  string
	cookie  string // tells this holder from others of the same client
	time    time.Duration
	stop    chan struct{}
	stopped chan struct{}
}

func newLock(c *Cluster, at tenant.Place, name string, expires time.Duration) *lock {
	return &lock{
		cluster: c, at: at, object: lockPrefix + name, cookie: rand.Text(), time: expires,
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (l *lock) take(ctx context.Context, flags byte) error {
	return l.cluster.in(ctx, l.at, func(ioctx *rados.IOContext) error {
		code, err := ioctx.LockExclusive(l.object, lockName, l.cookie, "", l.time, &flags)
		if err == nil && code != 0 {
			err = fmt.Errorf("somebody else has it: %w", volume.ErrPending)
		}
		return err
	})
}

// keep renews the lock until it is ended. A renewal that fails is tried again;
// a lock that is lost is not taken again, since another may have begun.
func (l *lock) keep(ctx context.Context) {
	defer close(l.stopped)
	ticker := time.NewTicker(lockRenew)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
		if is(l.take(ctx, lockMustRenew), syscall.ENOENT) {
			return
		}
	}
}

// end removes the lock's object if the lock is still ours. When Ceph does not
// answer, the lock expires.
func (l *lock) end(ctx context.Context) {
	close(l.stop)
	<-l.stopped
	_ = l.cluster.in(ctx, l.at, func(ioctx *rados.IOContext) error {
		op := rados.CreateWriteOp()
		defer op.Release()
		op.Exec("lock", "assert_locked", assertLocked(l.cookie))
		op.Remove()
		return op.Operate(ioctx, l.object, rados.OperationNoFlag)
	})
}

// exclusive is LOCK_EXCLUSIVE of Ceph's object class «lock».
const exclusive = 1

// assertLocked encodes the input of the class method assert_locked: version
// 1, compatible with 1, length; then name, type, cookie, tag.
func assertLocked(cookie string) []byte {
	var body bytes.Buffer
	appendText(&body, lockName)
	body.WriteByte(exclusive)
	appendText(&body, cookie)
	appendText(&body, "")
	head := binary.LittleEndian.AppendUint32([]byte{1, 1}, uint32(body.Len()))
	return append(head, body.Bytes()...)
}

// appendText encodes a text as Ceph does: its length in 4 bytes, its bytes.
func appendText(b *bytes.Buffer, s string) {
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	b.WriteString(s)
}
