package rbd_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// TestLinger keeps a golden for its time after the last volume, across a
// restart for the whole of it again, and starts anew with each use.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newShared(t, "a1")
		lingering := func() *rbd.Stager { return n.fresh().Share(rbd.Sharing{Node: "node", Linger: 10 * time.Minute}) }
		run := func(s *rbd.Stager) (end func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { s.Run(ctx); close(ended) }()
			return func() { cancel(); <-ended }
		}
		s := lingering()
		end := run(s)
		for range 3 {
			n.must(n.stageHere(s, "a1"))
			time.Sleep(time.Hour)
			n.must(n.unstageHere(s, "a1"))
			time.Sleep(9 * time.Minute)
			if n.devices() != 1 {
				t.Fatal("the golden did not linger")
			}
		}
		end()
		time.Sleep(time.Hour)
		end = run(lingering())
		time.Sleep(9 * time.Minute)
		if n.devices() != 1 {
			t.Fatal("the golden did not linger after a restart")
		}
		time.Sleep(3 * time.Minute)
		n.expectHost("lingered")
		end()
	})
}

// TestLeases takes a lease with the first volume, renews it while the golden
// is mapped, and lets it end then.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newShared(t, "a1", "a2", "b1")
		s := n.fresh()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		id := n.goldens["public/golden.resnet50.v1"].ImageID
		left := func() time.Duration {
			leases, err := n.ceph.Leases(t.Context(), n.public, id)
			n.must(err)
			return time.Until(leases["node"])
		}
		n.run(n.stageHere(s, "a1"), n.stageHere(s, "a2"))
		if left() != rbd.LeaseTime {
			t.Fatalf("the lease has %s", left())
		}
		for range 30 {
			time.Sleep(time.Hour)
			if left() < rbd.LeaseTime-2*time.Hour {
				t.Fatalf("the lease has %s", left())
			}
		}
		n.run(n.unstageHere(s, "a1"), n.unstageHere(s, "a2"))
		time.Sleep(rbd.LeaseTime + time.Minute)
		if left() > 0 {
			t.Fatalf("the lease of a golden that is not mapped has %s", left())
		}
		cancel()
		<-ended
	})
}

// TestSweepNode removes what killed drivers left and nothing that is used: half
// made things are the business of the request that comes back.
func TestSweepNode(t *testing.T) {
	n := newShared(t, "a1", "a2")
	n.run(n.blank("v"), n.blank("w"))
	s := n.fresh()
	n.must(n.stageHere(s, "a1"))
	used := slices.Clone(n.host.Contents())
	n.must(n.fresh().Sweep(t.Context()))
	n.expectHost("swept beside a volume", used...)
	for _, port := range []string{"Mount", "Overlay"} {
		n.ceph.Reset(func(c fake.Call) fake.Fault {
			return fake.Fault{When: map[bool]fake.When{true: fake.Before}[c.Port == port], Crash: c.Port == port}
		})
		_ = n.stageHere(n.fresh(), "a2")
		_ = n.stage("v")
		n.ceph.Restart()
	}
	n.must(n.unstageHere(s, "a1"))
	n.must(n.fresh().Sweep(t.Context()))
	n.expectHost("swept")
}
