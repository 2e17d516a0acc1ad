package rbd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// shelved is a golden of the tenant public, as inline volumes name it.
var shelved = volume.GoldenRef{Tenant: "public", Name: "resnet50", Version: "v1"}

// newInline is a node whose goldens have records, as an import leaves them.
func newInline(t *testing.T, volumes ...string) node {
	n := newShared(t, volumes...)
	for _, g := range n.goldens {
		n.write(record.Golden{
			Head: record.NewHead(), State: g.State, Golden: g.Ref.Name + ":" + g.Ref.Version, FsType: g.FsType,
			Size: g.Size, ImageID: g.ImageID, SnapshotID: g.SnapshotID,
		})
	}
	return n
}

// write puts a golden's record in the place of whatever is there.
func (n node) write(rec record.Golden) {
	n.t.Helper()
	ref, err := volume.ParseGoldenRef(rec.Golden)
	n.must(err)
	data, err := record.Encode(&rec)
	n.must(err)
	n.run(n.ceph.RemoveRecord(context.Background(), n.public, ref.Image()), n.ceph.CreateRecord(context.Background(), n.public, ref.Image(), data))
}

// change edits the record of the golden.
func (n node) change(edit func(*record.Golden)) {
	n.t.Helper()
	data, err := n.ceph.ReadRecord(context.Background(), n.public, shelved.Image())
	n.must(err)
	var rec record.Golden
	n.must(record.Decode(shelved.Image(), data, &rec))
	edit(&rec)
	n.write(rec)
}

func pod(handle string) string { return "/pods/" + handle + "/mount" }

func inline(handle string) volume.Inline {
	return volume.Inline{
		Handle: handle, Target: pod(handle), Golden: shelved,
		Credentials: volume.Credentials{User: "acme", Key: "key of acme"},
		Goldens:     map[volume.GoldenRef]volume.Credentials{shelved: {User: "public", Key: "key of public"}},
	}
}

func (n node) show(s *rbd.Stager, in volume.Inline) error {
	return s.ShowGolden(quiet(), n.at, n.public, in)
}

func (n node) hide(s *rbd.Stager, handle string) error {
	return s.HideGolden(quiet(), handle, pod(handle))
}

// TestInline shows a golden to two pods beside a volume of it: one device for
// all three, no clone for the pods, and nothing once all have gone.
func TestInline(t *testing.T) {
	n := newInline(t, "a1")
	images := n.contents()
	s := n.fresh()
	for range 2 {
		n.run(n.show(s, inline("csi-1")), n.show(s, inline("csi-2")), n.stageHere(s, "a1"))
	}
	n.expect("inline volumes made", images)
	if n.devices() != 1 {
		t.Fatalf("the host has %q", n.host.Contents())
	}
	n.run(s.ShownGolden(t.Context(), "csi-1", pod("csi-1")), s.ShownGolden(t.Context(), "csi-2", pod("csi-2")))
	for handle, path := range map[string]string{"csi-1": pod("csi-2"), "csi-": pod("csi-1"), "csi-3": n.path("a1"), "none": "/nowhere"} {
		if err := s.ShownGolden(t.Context(), handle, path); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("%s is shown at %s: %v", handle, path, err)
		}
	}
	// Another handle's target, or a volume's path, stays as it is.
	before := n.host.Contents()
	n.run(s.HideGolden(t.Context(), "csi-1", pod("csi-2")), s.HideGolden(t.Context(), "csi-1", n.path("a1")), s.HideGolden(t.Context(), "csi-9", "/nowhere"))
	n.expectHost("hidden under other names", before...)

	n.run(n.unstageHere(s, "a1"), n.hide(s, "csi-1"), s.Sweep(t.Context()))
	if n.devices() != 1 {
		t.Fatal("the golden went while a pod shows it")
	}
	// The last one goes with a driver that has just started.
	s = n.fresh()
	n.run(n.hide(s, "csi-2"), n.hide(s, "csi-2"), s.Sweep(t.Context()))
	n.expectHost("all hidden")
}

// TestInlineAgain asks Ceph nothing for what is shown already.
func TestInlineAgain(t *testing.T) {
	n := newInline(t)
	n.must(n.show(n.fresh(), inline("csi-1")))
	n.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Overlays" {
			return fake.Fault{}
		}
		return fake.Fault{When: fake.Before}
	})
	n.must(n.show(n.fresh(), inline("csi-1")))
	moved := inline("csi-1")
	moved.Tenant = "initech" // the namespace's tenant has another name now
	n.must(n.show(n.fresh(), moved))
	n.ceph.Reset(nil)
	other := inline("csi-2")
	other.Target = pod("csi-1")
	if err := n.show(n.fresh(), other); !errors.Is(err, volume.ErrConflict) {
		t.Errorf("over another pod's: %v", err)
	}
}

func TestInlineRefuses(t *testing.T) {
	state := func(s volume.GoldenState) func(n node, _ *volume.Inline) {
		return func(n node, _ *volume.Inline) { n.change(func(r *record.Golden) { r.State = s }) }
	}
	for name, tc := range map[string]struct {
		change func(n node, in *volume.Inline)
		want   error
		says   string
	}{
		"no reader's key":      {func(_ node, in *volume.Inline) { in.Goldens = nil }, volume.ErrDenied, "sdpctl tenant secret acme --inline"},
		"another golden's key": {func(_ node, in *volume.Inline) { in.Golden.Name = "squad" }, volume.ErrDenied, "squad:v1"},
		"a wrong reader's key": {func(_ node, in *volume.Inline) {
			in.Goldens[shelved] = volume.Credentials{User: "public", Key: "wrong"}
		}, volume.ErrDenied, "sdpctl tenant sync"},
		"a key without a right": {func(_ node, in *volume.Inline) {
			in.Credentials = volume.Credentials{User: "alone", Key: "key of alone"}
		}, volume.ErrDenied, "as alone"},
		"another's wrong key":    {func(_ node, in *volume.Inline) { in.Credentials.Key = "key of public" }, volume.ErrDenied, "as acme"},
		"not sealed":             {state(volume.GoldenCreating), volume.ErrNotFound, "not sealed"},
		"retired":                {state(volume.GoldenRetired), volume.ErrNotFound, "retired"},
		"deleted":                {state(volume.GoldenDeleted), volume.ErrNotFound, "deleted"},
		"not there":              {func(n node, _ *volume.Inline) { n.must(n.ceph.RemoveRecord(t.Context(), n.public, shelved.Image())) }, volume.ErrNotFound, "public/resnet50:v1"},
		"files":                  {func(n node, _ *volume.Inline) { n.change(func(r *record.Golden) { r.FsType = volume.FilesType }) }, volume.ErrInvalid, "backend: cephfs"},
		"another file system":    {func(_ node, in *volume.Inline) { in.FsType = "ext4" }, volume.ErrInvalid, "leave fsType out"},
		"a harmful option":       {func(_ node, in *volume.Inline) { in.Options = []string{"dev"} }, volume.ErrInvalid, "dev"},
		"its image has gone":     {func(n node, _ *volume.Inline) { n.change(func(r *record.Golden) { r.ImageID = "dead" }) }, volume.ErrNotFound, "dead"},
		"a record of the future": {func(n node, _ *volume.Inline) { n.change(func(r *record.Golden) { r.Version++ }) }, volume.ErrUnsupported, "upgrade"},
	} {
		t.Run(name, func(t *testing.T) {
			n, in := newInline(t), inline("csi-1")
			tc.change(n, &in)
			s := n.fresh()
			if err := n.show(s, in); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v about %q", err, tc.want, tc.says)
			}
			n.must(s.Sweep(t.Context()))
			n.expectHost("refused")
		})
	}
}

// TestInlineNeedsALease shows nothing that nothing would hold.
func TestInlineNeedsALease(t *testing.T) {
	n := newInline(t)
	nameless := rbd.NewStager(n.ceph, n.host, n.host, noSteps{}).Share(rbd.Sharing{})
	if err := n.show(nameless, inline("csi-1")); !errors.Is(err, volume.ErrUnsupported) {
		t.Errorf("a node without a name: %v", err)
	}
	for _, sentinel := range []error{volume.ErrDenied, volume.ErrUnavailable} {
		n.ceph.Reset(func(c fake.Call) fake.Fault {
			if c.Port == "Lease" {
				return fake.Fault{When: fake.Before, Err: fmt.Errorf("a lease: %w", sentinel)}
			}
			return fake.Fault{}
		})
		if err := n.show(n.fresh(), inline("csi-1")); !errors.Is(err, sentinel) {
			t.Errorf("got %v, want %v", err, sentinel)
		}
		n.ceph.Reset(nil)
		n.expectHost("refused")
	}
}

// TestInlineMeetsADeletion retires the golden just before the lease is taken:
// the deletion may have looked for leases already.
func TestInlineMeetsADeletion(t *testing.T) {
	n := newInline(t)
	n.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Lease" {
			n.change(func(r *record.Golden) { r.State = volume.GoldenRetired })
		}
		return fake.Fault{}
	})
	if err := n.show(n.fresh(), inline("csi-1")); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	n.expectHost("refused")
}

// leaseOf returns how long the golden's lease of the node lasts.
func (n node) leaseOf() time.Duration {
	n.t.Helper()
	leases, err := n.ceph.Leases(context.Background(), n.public, n.goldens["public/"+shelved.Image()].ImageID)
	n.must(err)
	return time.Until(leases["node"])
}

// running is a driver that has just started; end stops it.
func (n node) running() (s *rbd.Stager, end func()) {
	s = n.fresh().Share(rbd.Sharing{Node: "node", Linger: 10 * time.Minute})
	ctx, cancel := context.WithCancel(quiet())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	return s, func() { cancel(); <-ended }
}

// forged is shown already, and its pod's author has written another key into the
// Secret.
func forged() volume.Inline {
	in := inline("csi-1")
	in.Goldens = map[volume.GoldenRef]volume.Credentials{shelved: {User: "public", Key: "forged"}}
	return in
}

// TestInlineIsHeld keeps the lease of a golden that one pod shows for as long
// as it does, and after a restart as soon as anything brings keys again: that
// pod's own publication, or the stage of a volume of another golden.
func TestInlineIsHeld(t *testing.T) {
	for name, next := range map[string]func(n node, s *rbd.Stager) error{
		"published again": func(n node, s *rbd.Stager) error { return n.show(s, inline("csi-1")) },
		"a forged key": func(n node, s *rbd.Stager) error {
			return errors.Join(n.show(s, inline("csi-1")), n.show(s, forged()))
		},
		"a forged key first": func(n node, s *rbd.Stager) error {
			n.must(n.show(s, forged()))
			time.Sleep(2 * time.Hour) // it is tried
			return n.show(s, inline("csi-1"))
		},
		"another stage": func(n node, s *rbd.Stager) error { return n.stageHere(s, "b1", reader("key of public")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newInline(t, "b1")
				s, end := n.running()
				n.must(n.show(s, inline("csi-1")))
				time.Sleep(3 * rbd.LeaseTime)
				if n.leaseOf() < rbd.LeaseTime-2*time.Hour {
					t.Errorf("the lease has %s", n.leaseOf())
				}
				end()
				s, end = n.running()
				time.Sleep(rbd.LeaseTime / 2)
				n.must(next(n, s))
				time.Sleep(3 * rbd.LeaseTime)
				if n.leaseOf() < rbd.LeaseTime-2*time.Hour {
					t.Errorf("after a restart the lease has %s", n.leaseOf())
				}
				n.must(n.hide(s, "csi-1"))
				time.Sleep(2 * rbd.LeaseTime)
				if name == "published again" && n.leaseOf() > 0 {
					t.Errorf("once nobody shows it the lease has %s", n.leaseOf())
				}
				end()
			})
		})
	}
}

// TestInlineCrash lets each effect of a publication, and of its undoing, fail
// or be the driver's last, and tries again with the next driver.
func TestInlineCrash(t *testing.T) {
	for name, fault := range breakdowns {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				n := newInline(t)
				n.ceph.Reset(fake.At(at, fault))
				failed := n.show(n.fresh(), inline("csi-1"))
				shown := len(n.ceph.Trace())
				failed = errors.Join(failed, n.hide(n.fresh(), "csi-1"))
				total := len(n.ceph.Trace())
				n.ceph.Restart()
				n.ceph.Settle()
				n.host.Tidy()
				s := n.fresh()
				if at <= shown {
					n.run(n.show(s, inline("csi-1")), s.ShownGolden(t.Context(), "csi-1", pod("csi-1")))
				}
				n.run(n.hide(s, "csi-1"), s.Sweep(t.Context()))
				n.expectHost(fmt.Sprintf("effect %d failed with %v", at, failed))
				if at > total {
					return
				}
			}
		})
	}
}
