package ceph

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestLockRecord(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	unlock, err := r.LockRecord(ctx, r.acme, "golden.g.v1")
	ok(t, err)
	_, err = r.LockRecord(ctx, r.acme, "golden.g.v1")
	wants(t, err, volume.ErrPending)
	// Another client, another name, another tenant.
	other := NewCluster(Options{})
	t.Cleanup(other.Close)
	_, err = other.LockRecord(ctx, r.acme, "golden.g.v1")
	wants(t, err, volume.ErrPending)
	for _, free := range []func() (func(), error){
		func() (func(), error) { return other.LockRecord(ctx, r.acme, "golden.g.v2") },
		func() (func(), error) { return other.LockRecord(ctx, r.globex, "golden.g.v1") },
	} {
		unlock, err := free()
		ok(t, err)
		unlock()
	}
	// A lock is no record.
	_, err = r.ReadRecord(ctx, r.acme, "golden.g.v1")
	wants(t, err, volume.ErrNotFound)

	unlock()
	unlock()
	again, err := other.LockRecord(ctx, r.acme, "golden.g.v1")
	ok(t, err)
	again()
	if left := r.ceph.Rados("-p", r.acme.Pool(), "-N", "acme", "ls"); strings.Contains(left, lockPrefix) {
		t.Errorf("unlocking left:\n%s", left)
	}
}

func TestLockIsOneHolders(t *testing.T) {
	r := newReal(t, Options{})
	var holders atomic.Int32
	done := make(chan error)
	for range 8 {
		go func() {
			done <- func() error {
				for taken := 0; taken < 5; {
					unlock, err := r.LockRecord(t.Context(), r.acme, "golden.g.v1")
					if errors.Is(err, volume.ErrPending) {
						continue
					}
					if err != nil {
						return err
					}
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d hold the lock", n)
					}
					taken++
					holders.Add(-1)
					unlock()
				}
				return nil
			}()
		}()
	}
	for range 8 {
		ok(t, <-done)
	}
}

// A killed holder neither renews nor unlocks.
func TestLockOfKilledHolderExpires(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	killed := newLock(r.Cluster, r.acme, "golden.g.v1", time.Second)
	ok(t, killed.take(ctx, lockMustNotExist))
	deadline := time.Now().Add(2 * time.Minute)
	for {
		unlock, err := r.LockRecord(ctx, r.acme, "golden.g.v1")
		if err == nil {
			defer unlock()
			break
		}
		wants(t, err, volume.ErrPending)
		if time.Now().After(deadline) {
			t.Fatal("the lock of a killed holder does not expire")
		}
		time.Sleep(100 * time.Millisecond)
	}
	// What the dead one still does, were it only slow, does not hurt: its
	// renewal fails, its unlocking leaves the new holder's lock.
	if err := killed.take(ctx, lockMustRenew); err == nil {
		t.Error("a lost lock was renewed")
	}
	close(killed.stopped)
	killed.end(context.WithoutCancel(ctx))
	_, err := r.LockRecord(ctx, r.acme, "golden.g.v1")
	wants(t, err, volume.ErrPending)
	if lockTime > time.Minute || lockRenew*3 > lockTime {
		t.Errorf("locks last %s and are renewed every %s", lockTime, lockRenew)
	}
}

func TestLockIsRenewed(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	l := newLock(r.Cluster, r.acme, "golden.g.v1", lockTime)
	ok(t, l.take(ctx, lockMustNotExist))
	ok(t, l.take(ctx, lockMustRenew))
	ok(t, r.in(ctx, r.acme, func(ioctx *rados.IOContext) error {
		info, err := ioctx.ListLockers(l.object, lockName)
		if err == nil && (info.NumLockers != 1 || !info.Exclusive) {
			t.Errorf("lockers: %+v", info)
		}
		return err
	}))
	go l.keep(ctx)
	l.end(ctx)
	unlock, err := r.LockRecord(ctx, r.acme, "golden.g.v1")
	ok(t, err)
	unlock()
}
