package cephfs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// counters are a cephfs.CopyMetrics.
type counters struct{ started, bytes, ended atomic.Int64 }

func (c *counters) CopyStarted()     { c.started.Add(1) }
func (c *counters) CopyRead(n int64) { c.bytes.Add(n) }
func (c *counters) CopyEnded()       { c.ended.Add(1) }

// TestCopyAfterRestart ends a controller while it copies. The next one makes
// the volume, whether the first one's work has ended by then or goes on.
func TestCopyAfterRestart(t *testing.T) {
	for name, ended := range map[string]bool{"ended": true, "goes on": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				empty := w.contents()
				let := w.slowCopies()
				first := cephfs.NewProvisioner(w.files, w, cephfs.Options{CreateWait: time.Second})
				spec := volume.Spec{Name: "new", Source: w.fromGolden()}
				_, err := first.Create(t.Context(), w.at, w.public, w.id("new"), spec)
				if !errors.Is(err, volume.ErrPending) || !strings.Contains(err.Error(), "0 of at most 1 MiB") {
					t.Fatalf("while it is copied: %v", err)
				}
				first.Close()
				if ended {
					let()
					synctest.Wait()
				}
				made := make(chan error)
				go func() { made <- w.create("new", false, w.fromGolden()) }()
				synctest.Wait()
				if !ended {
					let()
				}
				w.must(<-made)
				synctest.Wait()
				calm := newWorld(t)
				calm.must(calm.create("new", false, calm.fromGolden()))
				if got, want := w.contents(), calm.contents(); !slices.Equal(got, want) {
					t.Errorf("there is\n%q\nand should be\n%q", got, want)
				}
				w.takeApart(empty)
			})
		})
	}
}

// TestFailedCopy leaves nothing of a copy that cannot be made.
func TestFailedCopy(t *testing.T) {
	w := newWorld(t)
	empty := w.contents()
	w.files.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Copy" {
			return fake.Fault{When: fake.Before, Err: volume.ErrNoSpace}
		}
		return fake.Fault{}
	})
	var count counters
	p := cephfs.NewProvisioner(w.files, w, cephfs.Options{Metrics: &count})
	defer p.Close()
	create := func() error {
		_, err := p.Create(t.Context(), w.at, w.public, w.id("new"), volume.Spec{Name: "new", Source: w.fromGolden()})
		return err
	}
	if err := create(); !errors.Is(err, volume.ErrNoSpace) {
		t.Errorf("got %v", err)
	}
	if got := w.contents(); !slices.Equal(got, empty) {
		t.Errorf("left over\n%q\nthere was\n%q", got, empty)
	}
	w.files.Reset(nil)
	w.must(create())
	if count.started.Load() != 2 || count.ended.Load() != 2 || count.bytes.Load() != int64(len("weights")) {
		t.Errorf("counted %d copies begun, %d ended, %d bytes", count.started.Load(), count.ended.Load(), count.bytes.Load())
	}
}

// TestCopiesOfTenants bounds each tenant's copies for itself.
func TestCopiesOfTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		let := w.slowCopies()
		p := cephfs.NewProvisioner(w.files, w, cephfs.Options{CreateWait: time.Second, Copies: 1})
		defer p.Close()
		for _, at := range []tenant.Place{w.at, w.public, w.at} {
			_, err := p.Create(context.Background(), at, w.public, at.VolumeID(volume.CephFS, "new"), volume.Spec{Name: "new", Source: w.fromGolden()})
			if !errors.Is(err, volume.ErrPending) || !strings.Contains(err.Error(), "is being copied") {
				t.Errorf("%s: %v", at, err)
			}
		}
		_, err := p.Create(context.Background(), w.at, w.public, w.id("more"), volume.Spec{Name: "more", Source: w.fromGolden()})
		if !errors.Is(err, volume.ErrPending) || !strings.Contains(err.Error(), "has 1 copies under way") {
			t.Errorf("one more of a tenant that has one: %v", err)
		}
		let()
		synctest.Wait()
	})
}
