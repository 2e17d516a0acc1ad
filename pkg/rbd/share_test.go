package rbd_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// goldensOfNode are two goldens as they are sealed for real, with the ids of
// their snapshots.
var goldensOfNode = [...]string{"resnet50", "squad"}

// newShared is a node whose goldens can be shared, with a volume for each
// name: its first letter says of which golden.
func newShared(t *testing.T, volumes ...string) node {
	n := newNode(t)
	for name, g := range n.goldens {
		info, err := n.ceph.Snapshot(t.Context(), n.public, g.Ref.Image(), volume.SealedSnapshot)
		n.must(err)
		g.SnapshotID = info.ID
		n.goldens[name] = g
	}
	for _, v := range volumes {
		n.must(n.create(n.shared(v)))
	}
	return n
}

// shared asks for a shared volume of the first golden, or for a name in b… of
// the second.
func (n node) shared(name string) volume.Spec {
	golden := goldensOfNode[0]
	if strings.HasPrefix(name, "b") {
		golden = goldensOfNode[1]
	}
	spec := n.spec(name, "golden", golden, 0, true)
	spec.Share = volume.ShareNode
	return spec
}

// at is the staging path of a volume.
func (n node) path(name string) string { return "/staging/" + name }

func (n node) here(name string) func(*volume.Stage) {
	return func(s *volume.Stage) { s.ReadOnly, s.Path = true, n.path(name) }
}

func (n node) stageHere(s *rbd.Stager, name string, change ...func(*volume.Stage)) error {
	st := volume.Stage{ID: n.id(name), Credentials: volume.Credentials{User: "acme", Key: "key of acme"}}
	for _, c := range append([]func(*volume.Stage){n.here(name)}, change...) {
		c(&st)
	}
	return s.Stage(quiet(), n.at, st)
}

func (n node) unstageHere(s *rbd.Stager, name string) error {
	return s.Unstage(context.Background(), n.at, n.id(name), n.path(name))
}

// quiet is a context whose logger says nothing: tests break leases on purpose.
func quiet() context.Context { return klog.NewContext(context.Background(), klog.Logger{}) }

// devices counts the host's devices, mounted those of goldens.
func (n node) devices() int {
	count := 0
	for _, line := range n.host.Contents() {
		if strings.HasPrefix(line, "device ") {
			count++
		}
	}
	return count
}

// TestShareOneDevice stages three volumes of two goldens: two devices, and an
// overlay of its own for each volume.
func TestShareOneDevice(t *testing.T) {
	n := newShared(t, "a1", "a2", "b1")
	s := n.fresh()
	for _, v := range []string{"a1", "a2", "b1", "a1"} {
		n.must(n.stageHere(s, v))
	}
	if n.devices() != 2 {
		t.Fatalf("the host has %q", n.host.Contents())
	}
	all, err := s.Shared(t.Context())
	n.must(err)
	if len(all) != 2 || len(all[0].Sharers) != 2 || len(all[1].Sharers) != 1 || all[0].Image != "golden.resnet50.v1" {
		t.Fatalf("shared are %+v", all)
	}
	for _, v := range []string{"a1", "a2", "b1"} {
		n.run(s.Shown(t.Context(), n.at, n.id(v), ""), s.Shown(t.Context(), n.at, n.id(v), n.path(v)), s.Expand(t.Context(), n.at, n.id(v), n.path(v)))
		n.must(n.host.Publish(t.Context(), volume.Publication{ID: n.id(v), Staging: n.path(v), Target: "/pod/" + v, Alone: true}))
		n.must(s.Shown(t.Context(), n.at, n.id(v), "/pod/"+v))
	}
	for v, path := range map[string]string{"a1": n.path("a2"), "a2": "/pod/a1", "b1": n.path("a1"), "none": n.path("a1"), "nobody": ""} {
		if err := s.Shown(t.Context(), n.at, n.id(v), path); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("volume %s is shown at %q: %v", v, path, err)
		}
	}
	for _, v := range []string{"a1", "a2", "b1"} {
		n.run(n.unstageHere(s, v), n.host.Unpublish(t.Context(), "/pod/"+v))
	}
	n.must(s.Sweep(t.Context()))
	n.expectHost("all unstaged")
}

// TestShareKeepsUsed leaves a golden alone that a pod still has, though its
// volume is not staged any more.
func TestShareKeepsUsed(t *testing.T) {
	n := newShared(t, "a1")
	s := n.fresh()
	n.must(n.stageHere(s, "a1"))
	n.must(n.host.Publish(t.Context(), volume.Publication{ID: n.id("a1"), Staging: n.path("a1"), Target: "/pod"}))
	n.run(n.unstageHere(s, "a1"), s.Sweep(t.Context()))
	if n.devices() != 1 {
		t.Fatalf("the host has %q", n.host.Contents())
	}
	n.run(n.host.Unpublish(t.Context(), "/pod"), s.Sweep(t.Context()))
	n.expectHost("unpublished")
}

// TestShareOnlyWhatMayBe gives others a device of their own.
func TestShareOnlyWhatMayBe(t *testing.T) {
	for name, spec := range map[string]func(n node) volume.Spec{
		"share: clone": func(n node) volume.Spec {
			spec := n.shared("a1")
			spec.Share = volume.ShareClone
			return spec
		},
		"block": func(n node) volume.Spec {
			spec := n.shared("a1")
			spec.Block = true
			return spec
		},
		"copy": func(n node) volume.Spec {
			n.must(n.from("v", "golden", "squad"))
			spec := n.spec("a1", "volume", "v", 0, true)
			spec.Share = volume.ShareNode
			return spec
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newShared(t)
			want := spec(n)
			n.must(n.create(want))
			n.must(n.stageHere(n.fresh(), "a1", func(s *volume.Stage) { s.Block = want.Block }))
			if rows := strings.Join(n.host.Contents(), "\n"); !strings.Contains(rows, "device rbd/acme/vol.") || strings.Contains(rows, "overlay") {
				t.Fatalf("the host has %s", rows)
			}
			n.must(n.unstageHere(n.fresh(), "a1"))
			n.expectHost("unstaged")
		})
	}
}

// TestShareNeedsARight refuses a key that may not read the golden, whether or
// not another tenant has it mapped, and leaves what is mapped alone.
func TestShareNeedsARight(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		t.Run(fmt.Sprintf("mapped %t", mapped), func(t *testing.T) {
			n := newShared(t, "a1", "a2")
			s := n.fresh()
			if mapped {
				n.must(n.stageHere(s, "a2"))
			}
			before := n.host.Contents()
			for _, how := range []func(*volume.Stage){as("alone", "alone"), as("acme", "public"), as("public", "public")} {
				if err := n.stageHere(s, "a1", how); !errors.Is(err, volume.ErrDenied) {
					t.Errorf("got %v", err)
				}
			}
			n.expectHost("refused", before...)
		})
	}
}

// reader gives a request the key of the first golden's reader.
func reader(key volume.Secret) func(*volume.Stage) {
	ref := volume.GoldenRef{Tenant: "public", Name: "resnet50", Version: "v1"}
	return func(s *volume.Stage) {
		s.Goldens = map[volume.GoldenRef]volume.Credentials{ref: {User: "public", Key: key}}
	}
}

// TestShareMapsWithTheReader maps with the golden's reader's key where it came
// along, and does not take it for the tenant's right.
func TestShareMapsWithTheReader(t *testing.T) {
	n := newShared(t, "a1")
	if err := n.stageHere(n.fresh(), "a1", reader("wrong")); !errors.Is(err, volume.ErrDenied) {
		t.Fatalf("a wrong key: %v", err)
	}
	if err := n.stageHere(n.fresh(), "a1", reader("key of public"), as("alone", "alone")); !errors.Is(err, volume.ErrDenied) {
		t.Fatalf("a tenant without a right: %v", err)
	}
	n.must(n.stageHere(n.fresh(), "a1", reader("key of public")))
}

// TestShareWithoutAReader gives a volume its own device where the key may read
// the golden, and clones of it, but not map it, unless it is mapped already.
func TestShareWithoutAReader(t *testing.T) {
	n := newShared(t, "a1", "a2")
	deny := func(c fake.Call) fake.Fault {
		if c.Port == "Map" && strings.HasPrefix(c.Name, "golden.") {
			return fake.Fault{When: fake.Before, Err: fmt.Errorf("a key: %w", volume.ErrDenied)}
		}
		return fake.Fault{}
	}
	for range 2 {
		n.ceph.Reset(deny)
		n.must(n.stageHere(n.fresh(), "a1"))
		n.expectHost("staged", "device rbd/acme/vol."+n.id("a1").Hash+" ro", `mount /staging/a1 "erofs" ro`)
		n.ceph.Reset(nil) // the secret is written anew
	}
	n.must(n.stageHere(n.fresh(), "a1"))
	n.must(n.stageHere(n.fresh(), "a2"))
	n.must(n.fresh().Shown(t.Context(), n.at, n.id("a1"), n.path("a1")))
	n.run(n.unstageHere(n.fresh(), "a1"), n.stageHere(n.fresh(), "a1"))
	if n.devices() != 1 {
		t.Fatalf("the host has %q", n.host.Contents())
	}
	n.run(n.unstageHere(n.fresh(), "a1"), n.unstageHere(n.fresh(), "a2"))
	n.expectHost("unstaged")
}

// TestShareMapsOnce holds the map of a golden while six volumes are staged:
// one map serves all, a waiter whose time is over leaves alone, and a volume
// of another golden passes.
func TestShareMapsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newShared(t, "a1", "a2", "a3", "a4", "a5", "b1")
		s, gate := n.fresh(), make(chan struct{})
		n.ceph.Reset(func(c fake.Call) fake.Fault {
			if c.Port == "Map" && strings.Contains(c.Name, "resnet50") {
				<-gate
			}
			return fake.Fault{}
		})
		results := make(chan error, 5)
		for _, v := range []string{"a1", "a2", "a3", "a4"} {
			go func() { results <- n.stageHere(s, v) }()
		}
		synctest.Wait()
		n.must(n.stageHere(s, "b1"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		st := volume.Stage{ID: n.id("a5"), Path: n.path("a5"), ReadOnly: true, Credentials: volume.Credentials{User: "acme", Key: "key of acme"}}
		if err := s.Stage(ctx, n.at, st); !errors.Is(err, volume.ErrPending) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a waiter whose time is over: %v", err)
		}
		n.must(s.Sweep(t.Context()))
		close(gate)
		for range 4 {
			n.must(<-results)
		}
		maps := 0
		for _, c := range n.ceph.Trace() {
			if c.Port == "Map" && strings.Contains(c.Name, "resnet50") {
				maps++
			}
		}
		if maps != 2 { // a map has two effects
			t.Errorf("the golden was mapped with %d effects", maps)
		}
	})
}

// TestShareMapsAgainAfterAFailure keeps no failure, and another tenant's bad
// key is not this one's.
func TestShareMapsAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newShared(t, "a1", "a2")
		s, gate := n.fresh(), make(chan struct{})
		first := true
		n.ceph.Reset(func(c fake.Call) fake.Fault {
			if c.Port == "Map" && first {
				first = false
				<-gate
				return fake.Fault{When: fake.Before, Err: fmt.Errorf("a key: %w", volume.ErrDenied)}
			}
			return fake.Fault{}
		})
		results := make(chan error, 2)
		go func() { results <- n.stageHere(s, "a1", reader("key of public")) }()
		synctest.Wait()
		go func() { results <- n.stageHere(s, "a2", reader("key of public")) }()
		synctest.Wait()
		close(gate)
		if a, b := <-results, <-results; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), volume.ErrDenied) {
			t.Fatalf("got %v and %v, want one denied", a, b)
		}
		n.run(n.stageHere(s, "a1"), n.stageHere(s, "a2"))
		n.run(n.unstageHere(s, "a1"), n.unstageHere(s, "a2"))
		n.expectHost("unstaged")
	})
}
