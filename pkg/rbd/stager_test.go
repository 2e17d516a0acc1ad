package rbd_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const staging = "/var/lib/kubelet/staging"

// noSteps observes nothing.
type noSteps struct{}

func (noSteps) Step(string) func() { return func() {} }

// node is a world with one node, whose key opens the tenant and the goldens.
type node struct {
	*world
	host *fake.Host
}

func newNode(t *testing.T) node {
	w := newWorld(t)
	return node{world: w, host: w.newHost()}
}

func (w *world) newHost() *fake.Host {
	for user, may := range map[string][]string{"acme": {"acme", "public"}, "alone": {"acme"}, "public": {"public"}} {
		w.ceph.Allow(user, volume.Secret("key of "+user), may...)
	}
	return fake.NewHost(w.ceph)
}

// fresh is the stager of a driver that has just started.
func (n node) fresh() *rbd.Stager {
	return rbd.NewStager(n.ceph, n.host, n.host, noSteps{}).Share(rbd.Sharing{Node: "node"})
}

func (n node) stage(name string, change ...func(*volume.Stage)) error {
	s := volume.Stage{ID: n.id(name), Path: staging, Credentials: volume.Credentials{User: "acme", Key: "key of acme"}}
	for _, c := range change {
		c(&s)
	}
	return n.fresh().Stage(n.t.Context(), n.at, s)
}

func (n node) unstage(name string) error {
	return n.fresh().Unstage(n.t.Context(), n.at, n.id(name), staging)
}

func (n node) grow(name string) error {
	return n.fresh().Expand(n.t.Context(), n.at, n.id(name), staging)
}

func (n node) expectHost(what string, want ...string) {
	n.t.Helper()
	got := n.host.Contents()
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		n.t.Fatalf("%s: the host has\n%q\nand should have\n%q", what, got, want)
	}
}

func readOnly(s *volume.Stage) { s.ReadOnly = true }
func block(s *volume.Stage)    { s.Block = true }

// TestStage stages each kind of volume twice and unstages it twice.
func TestStage(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(w *world) error
		how   []func(*volume.Stage)
		mount string
		rows  int // with the device: a block volume has a file too
	}{
		"blank":             {func(w *world) error { return w.blank("v") }, nil, `"ext4" rw`, 2},
		"blank, read":       {func(w *world) error { return w.create(w.spec("v", "golden", "squad", 0, false)) }, []func(*volume.Stage){readOnly}, `"ext4" ro`, 2},
		"golden":            {func(w *world) error { return w.create(w.spec("v", "golden", "resnet50", 0, true)) }, []func(*volume.Stage){readOnly}, `"erofs" ro`, 2},
		"writable golden":   {func(w *world) error { return w.from("v", "golden", "squad") }, nil, `"ext4" rw`, 2},
		"block":             {blockVolume, []func(*volume.Stage){block}, `"" rw`, 3},
		"block, as reader":  {blockVolume, []func(*volume.Stage){block, readOnly}, `"" ro`, 3},
		"a wanted fs":       {func(w *world) error { return w.blank("v") }, []func(*volume.Stage){func(s *volume.Stage) { s.FsType = "ext4" }}, `"ext4" rw`, 2},
		"harmless options":  {func(w *world) error { return w.blank("v") }, []func(*volume.Stage){func(s *volume.Stage) { s.Options = []string{"noatime"} }}, `"ext4" rw`, 2},
		"key of all it has": {func(w *world) error { return w.blank("v") }, []func(*volume.Stage){as("alone", "alone")}, `"ext4" rw`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.must(c.make(n.world))
			for range 2 {
				n.must(n.stage("v", c.how...))
				rows := n.host.Contents()
				if len(rows) != c.rows || !strings.HasSuffix(rows[len(rows)-1], c.mount) {
					t.Fatalf("the host has %q", rows)
				}
			}
			for range 2 {
				n.must(n.unstage("v"))
				n.expectHost("unstaged")
			}
			n.must(n.delete("v"))
		})
	}
}

// A device that a killed driver left mapped for reading is not what a writer
// gets, nor the other way round.
func TestStageAfterAnotherAccess(t *testing.T) {
	for name, left := range map[string]bool{"left for reading": true, "left for writing": false} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.must(n.from("v", "golden", "squad"))
			m := rbd.Mapping{Pool: n.at.Pool(), Namespace: n.at.Namespace(), Image: "vol." + n.id("v").Hash, ReadOnly: left}
			_, err := n.host.Map(t.Context(), m, volume.Credentials{User: "acme", Key: "key of acme"})
			n.must(err)
			n.must(n.stage("v", func(s *volume.Stage) { s.ReadOnly = !left }))
			all, err := n.host.List(t.Context())
			if err != nil || len(all) != 1 || all[0].ReadOnly == left {
				t.Fatalf("mapped: %+v, %v", all, err)
			}
		})
	}
}

// A device that is shown stays under what shows it.
func TestStageBesideAnotherAccess(t *testing.T) {
	n := newNode(t)
	n.must(blockVolume(n.world))
	n.must(n.stage("v", block))
	before := n.host.Contents()
	err := n.stage("v", block, readOnly, func(s *volume.Stage) { s.Path = staging + "2" })
	if !errors.Is(err, volume.ErrConflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	n.expectHost("refused", before...)
}

func blockVolume(w *world) error {
	spec := w.spec("v", "", "", 32, false)
	spec.Block = true
	return w.create(spec)
}

func as(user, keyOf string) func(*volume.Stage) {
	return func(s *volume.Stage) {
		s.Credentials = volume.Credentials{User: user, Key: volume.Secret("key of " + keyOf)}
	}
}

// TestStageRefuses stages what must not be: nothing is left on the host.
func TestStageRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		how  func(*volume.Stage)
		what string
		want error
	}{
		"no volume":             {func(*volume.Stage) {}, "none", volume.ErrNotFound},
		"wrong key":             {as("acme", "public"), "v", volume.ErrDenied},
		"no user":               {as("nobody", "acme"), "v", volume.ErrDenied},
		"another tenant's user": {as("public", "public"), "v", volume.ErrDenied},
		"no right to parent":    {as("alone", "alone"), "c", volume.ErrDenied},
		"block":                 {block, "v", volume.ErrPrecondition},
		"writer of a read-only": {func(*volume.Stage) {}, "g", volume.ErrPrecondition},
		"another fs":            {func(s *volume.Stage) { s.FsType = "xfs" }, "v", volume.ErrPrecondition},
		"harmful option":        {func(s *volume.Stage) { s.Options = []string{"suid"} }, "v", volume.ErrInvalid},
		"written elsewhere":     {func(*volume.Stage) {}, "o", volume.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.run(n.blank("v"), n.from("c", "golden", "squad"), n.create(n.spec("g", "golden", "resnet50", 0, true)), n.blank("o"))
			other := node{world: n.world, host: n.newHost()}
			n.must(other.stage("o"))
			if err := n.stage(c.what, c.how); !errors.Is(err, c.want) || errors.Is(err, volume.ErrUnavailable) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			n.expectHost("refused")
		})
	}
}

// TestStageFormatsBlankOnly formats what began empty, and nothing that has a
// source, whatever is in it.
func TestStageFormatsBlankOnly(t *testing.T) {
	for name, formats := range map[string]bool{"v": true, "c": false, "g": false} {
		n := newNode(t)
		n.run(n.blank("v"), n.from("c", "volume", "v"), n.from("g", "golden", "squad"))
		n.ceph.Reset(nil)
		_ = n.stage(name) // what a copy of an empty volume answers is pkg/mount's to say
		if got := slices.ContainsFunc(n.ceph.Trace(), func(c fake.Call) bool { return c.Port == "Format" }); got != formats {
			t.Errorf("%s: formatted: %t", name, got)
		}
	}
}

// TestStageNeedsExclusive refuses to write where the mapper lets others write.
func TestStageNeedsExclusive(t *testing.T) {
	n := newNode(t)
	n.host.SetMapper(false, 1)
	n.run(n.blank("v"), n.create(n.spec("g", "golden", "resnet50", 0, true)), n.create(n.spec("h", "golden", "resnet50", 0, true)))
	if err := n.stage("v"); !errors.Is(err, volume.ErrUnsupported) {
		t.Fatalf("got %v", err)
	}
	n.must(n.stage("g", readOnly))
	if err := n.stage("h", readOnly); !errors.Is(err, volume.ErrNoSpace) {
		t.Fatalf("one device too many: got %v", err)
	}
	if got := n.fresh().Limit(); got != 1 {
		t.Fatalf("the limit is %d", got)
	}
}

// TestUnstageKeepsUsed leaves a device that a pod still has.
func TestUnstageKeepsUsed(t *testing.T) {
	n := newNode(t)
	n.run(n.blank("v"), n.stage("v"))
	n.must(n.host.Publish(t.Context(), volume.Publication{ID: n.id("v"), Staging: staging, Target: "/pod"}))
	n.must(n.unstage("v"))
	n.expectHost("published", "device", "file /pod", "mount /pod")
	n.run(n.host.Unpublish(t.Context(), "/pod"), n.unstage("v"))
	n.expectHost("unpublished")
}

// stagings are the requests to a node, each in a world prepared for it.
var stagings = map[string]struct {
	prepare func(n node)
	do      func(n node) error
}{
	"stage blank": {func(n node) { n.must(n.blank("v")) }, func(n node) error { return n.stage("v") }},
	"stage golden": {
		func(n node) { n.must(n.create(n.spec("v", "golden", "resnet50", 0, true))) },
		func(n node) error { return n.stage("v", readOnly) },
	},
	"stage block":   {func(n node) { n.must(blockVolume(n.world)) }, func(n node) error { return n.stage("v", block) }},
	"stage again":   {func(n node) { n.run(n.blank("v"), n.stage("v")) }, func(n node) error { return n.stage("v") }},
	"unstage":       {func(n node) { n.run(n.blank("v"), n.stage("v")) }, func(n node) error { return n.unstage("v") }},
	"unstage block": {func(n node) { n.run(blockVolume(n.world), n.stage("v", block)) }, func(n node) error { return n.unstage("v") }},
	"expand": {
		func(n node) { n.run(n.blank("v"), n.stage("v"), n.expand("v", 64)) },
		func(n node) error { return n.grow("v") },
	},
}

// TestStagingRetry breaks every effect of every request to a node: the same
// request to a fresh driver ends where it ends without a fault, and an unstage
// instead leaves nothing.
func TestStagingRetry(t *testing.T) {
	for name, s := range stagings {
		whole := newNode(t)
		s.prepare(whole)
		whole.must(s.do(whole))
		want := whole.host.Contents()
		for kind, fault := range breakdowns {
			t.Run(name+"/"+kind, func(t *testing.T) {
				for i := 1; ; i++ {
					n := newNode(t)
					s.prepare(n)
					n.ceph.Reset(fake.At(i, fault))
					err := s.do(n)
					if len(n.ceph.Trace()) < i {
						return
					}
					if !errors.Is(err, volume.ErrUnavailable) {
						t.Fatalf("effect %d: the answer is %v, not to try again", i, err)
					}
					n.ceph.Restart()
					n.ceph.Settle()
					n.must(s.do(n))
					n.expectHost(fmt.Sprintf("effect %d, retried", i), want...)
					n.must(n.unstage("v"))
					n.expectHost(fmt.Sprintf("effect %d, unstaged", i))
				}
			})
		}
	}
}

// TestUnstageHalfStaged gives up a staging that broke off anywhere.
func TestUnstageHalfStaged(t *testing.T) {
	for name, s := range stagings {
		if !strings.HasPrefix(name, "stage") {
			continue
		}
		for kind, fault := range breakdowns {
			t.Run(name+"/"+kind, func(t *testing.T) {
				for i := 1; ; i++ {
					n := newNode(t)
					s.prepare(n)
					n.ceph.Reset(fake.At(i, fault))
					if s.do(n) == nil {
						return
					}
					n.ceph.Restart()
					n.ceph.Settle()
					n.must(n.unstage("v"))
					n.expectHost(fmt.Sprintf("effect %d", i))
					n.must(n.delete("v"))
				}
			})
		}
	}
}

// TestShown tells what the node shows where.
func TestShown(t *testing.T) {
	n := newNode(t)
	n.run(n.blank("v"), n.blank("c"))
	shown := func(name, path string) error { return n.fresh().Shown(t.Context(), n.at, n.id(name), path) }
	for _, path := range []string{"", staging} {
		if err := shown("v", path); !errors.Is(err, volume.ErrNotFound) {
			t.Fatalf("not staged, at %q: %v", path, err)
		}
	}
	n.run(n.stage("v"), shown("v", ""), shown("v", staging))
	n.must(n.host.Publish(t.Context(), volume.Publication{ID: n.id("v"), Staging: staging, Target: "/pod"}))
	n.must(shown("v", "/pod"))
	for _, err := range []error{shown("v", "/elsewhere"), shown("c", staging), shown("c", "")} {
		if !errors.Is(err, volume.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
	}
	if err := n.grow("c"); !errors.Is(err, volume.ErrNotFound) {
		t.Fatalf("expand what is not staged: %v", err)
	}
}
