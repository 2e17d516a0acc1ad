package cephfs_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// stand is a world with a node. The tenant's reader is «acme», its writer
// «acme-rw»; «golden» is the reader of the tenant public's golden, and «alone»
// may read the tenant's records and nothing of another tenant's.
type stand struct {
	*world
	node *fake.FileNode
}

func newStand(t *testing.T) stand {
	w := newWorld(t)
	for user, may := range map[string][]string{
		"acme": {"acme", "public"}, "acme-rw": {"acme", "public", "acme.keys"}, "golden": {"public"}, "alone": {"acme"},
	} {
		w.files.Allow(user, volume.Secret("key of "+user), may...)
	}
	w.must(w.files.CreateRecord(t.Context(), w.public, "golden.m.v1", nil))
	return stand{world: w, node: fake.NewFileNode(w.files)}
}

type observer struct{}

func (observer) Step(string) func() { return func() {} }

// fresh is the stager of a driver that has just started.
func (s stand) fresh() *cephfs.Stager { return s.lingering(0) }

func (s stand) lingering(linger time.Duration) *cephfs.Stager {
	o := sharing.Options{StateDir: "/run", Node: "node", Linger: linger, PrefetchLimit: 1 << 30}
	return cephfs.NewStager(fake.NewFileReader(s.files), s.node, s.node, observer{}).Share(o)
}

func key(user string) volume.Credentials {
	return volume.Credentials{User: user, Key: volume.Secret("key of " + user)}
}

func place(name string) string { return "/staging/" + name }

// how changes a stage.
type how func(*volume.Stage)

func as(user string) how { return func(st *volume.Stage) { st.Credentials = key(user) } }

func writing(st *volume.Stage) { st.ReadOnly, st.Credentials = false, key("acme-rw") }

// with gives a stage the key of the golden's reader.
func (s stand) with(user string) how {
	return func(st *volume.Stage) {
		st.Goldens = map[volume.GoldenRef]volume.Credentials{s.golden.Ref: key(user)}
	}
}

// quiet is a context whose logger says nothing.
func quiet() context.Context { return klog.NewContext(context.Background(), klog.Logger{}) }

func (s stand) stage(by *cephfs.Stager, name string, changes ...how) error {
	st := volume.Stage{ID: s.id(name), Path: place(name), ReadOnly: true, Credentials: key("acme")}
	s.with("golden")(&st)
	for _, c := range changes {
		c(&st)
	}
	return by.Stage(quiet(), s.at, st)
}

func (s stand) unstage(by *cephfs.Stager, name string) error {
	return by.Unstage(quiet(), s.at, s.id(name), place(name))
}

func (s stand) shown(names ...string) {
	for _, name := range names {
		s.must(s.create(name, true, s.fromGolden()))
	}
}

func (s stand) empty(what string) {
	s.t.Helper()
	if left := s.node.Contents(); len(left) > 0 {
		s.t.Fatalf("%s: left over %q", what, left)
	}
}

func (s stand) count(prefix string) (n int) {
	for _, line := range s.node.Contents() {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// TestStageShared stages volumes of one golden: one mount with the key of its
// reader, of which each shows the snapshot's directory.
func TestStageShared(t *testing.T) {
	s := newStand(t)
	s.shown("a", "b", "c")
	by := s.fresh()
	for _, name := range []string{"a", "b", "c", "a"} {
		s.must(s.stage(by, name))
	}
	all, err := by.Shared(t.Context())
	s.must(err)
	if len(all) != 1 || len(all[0].Sharers) != 3 || all[0].Root != "/volumes/public/public.golden.m.v1" || s.node.User(all[0].Path) != "golden" {
		t.Fatalf("shared are %+v as %s", all, s.node.User(all[0].Path))
	}
	inside := "/.snap/sealed/" + s.golden.ImageID + " ro"
	for _, line := range s.node.Contents() {
		if strings.HasPrefix(line, "mount /staging/") && !strings.HasSuffix(line, inside) {
			t.Errorf("a pod sees %s", line)
		}
	}
	if s.count("process") != 1 || s.count("mount") != 4 {
		t.Fatalf("the node has %q", s.node.Contents())
	}
	for name, want := range map[string]error{"a": nil, "b": nil, "none": volume.ErrNotFound} {
		for _, path := range []string{"", place(name)} {
			if err := by.Shown(t.Context(), s.at, s.id(name), path); !errors.Is(err, want) {
				t.Errorf("%s at %q: %v", name, path, err)
			}
		}
	}
	if err := by.Shown(t.Context(), s.at, s.id("a"), place("b")); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("a is shown where b is: %v", err)
	}
	for _, name := range []string{"a", "b", "b", "c", "c"} {
		s.must(s.unstage(s.fresh(), name))
	}
	s.empty("unstaged")
}

// TestStageWay chooses the mount and its key, and refuses who has no right, also
// while another volume has the golden mounted.
func TestStageWay(t *testing.T) {
	none := func(st *volume.Stage) { st.Goldens = nil }
	for name, c := range map[string]struct {
		make  func(s stand) error
		how   []how
		want  error
		place string // of the mount
		user  string
	}{
		"golden's key":        {nil, nil, nil, "golden-fs", "golden"},
		"golden's wrong key":  {nil, []how{func(st *volume.Stage) { st.Goldens = wrongKey(st) }}, volume.ErrDenied, "", ""},
		"another golden's":    {nil, []how{func(st *volume.Stage) { st.Goldens = anotherKey(st) }}, volume.ErrDenied, "", ""},
		"no key of it":        {nil, []how{none}, nil, "own-fs", "acme"},
		"no right":            {nil, []how{none, as("alone")}, volume.ErrDenied, "", ""},
		"no user":             {nil, []how{as("nobody")}, volume.ErrDenied, "", ""},
		"share: clone":        {func(s stand) error { return s.createShared("v", volume.ShareClone) }, nil, nil, "own-fs", "acme"},
		"snapshot":            {stand.ofSnapshot, []how{as("alone")}, nil, "golden-fs", "alone"},
		"block":               {nil, []how{func(st *volume.Stage) { st.Block = true }}, volume.ErrPrecondition, "", ""},
		"a writer":            {nil, []how{writing}, volume.ErrPrecondition, "", ""},
		"another file system": {nil, []how{func(st *volume.Stage) { st.FsType = "ext4" }}, volume.ErrPrecondition, "", ""},
		"a harmful option":    {nil, []how{func(st *volume.Stage) { st.Options = []string{"suid"} }}, volume.ErrInvalid, "", ""},
		"its file system":     {nil, []how{func(st *volume.Stage) { st.FsType = "cephfs" }}, nil, "golden-fs", "golden"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.shown("other")
			s.must(s.stage(s.fresh(), "other"))
			if c.make == nil {
				s.shown("v")
			} else {
				s.must(c.make(s))
			}
			before := s.node.Contents()
			if err := s.stage(s.fresh(), "v", c.how...); !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			if c.want != nil {
				if !slices.Equal(s.node.Contents(), before) {
					t.Fatalf("a refusal left %q", s.node.Contents())
				}
				return
			}
			s.mountedAs(c.place, c.user)
			s.must(s.unstage(s.fresh(), "v"))
			s.must(s.unstage(s.fresh(), "other"))
			s.empty("unstaged")
		})
	}
}

// mountedAs looks what the volume v is an overlay of.
func (s stand) mountedAs(dir, user string) {
	s.t.Helper()
	all, err := s.node.Overlays(context.Background(), "/run/"+dir)
	s.must(err)
	for _, o := range all {
		if o.Path == place("v") && s.node.User(o.Lower) == user {
			return
		}
	}
	s.t.Fatalf("%s is not mounted as %s in %s: %q", place("v"), user, dir, s.node.Contents())
}

func wrongKey(st *volume.Stage) map[volume.GoldenRef]volume.Credentials {
	for ref := range st.Goldens {
		return map[volume.GoldenRef]volume.Credentials{ref: {User: "golden", Key: "wrong"}}
	}
	return nil
}

func anotherKey(st *volume.Stage) map[volume.GoldenRef]volume.Credentials {
	for ref := range st.Goldens {
		return map[volume.GoldenRef]volume.Credentials{ref: key("alone")}
	}
	return nil
}

func (s stand) createShared(name string, share volume.Share) error {
	return s.world.with(func(p *cephfs.Provisioner) error {
		_, err := p.Create(context.Background(), s.at, s.public, s.id(name), volume.Spec{Name: name, ReadOnly: true, Share: share, Source: s.fromGolden()})
		return err
	})
}

// ofSnapshot makes v show a snapshot of a writable volume.
func (s stand) ofSnapshot() error {
	return errors.Join(s.create("w", false, volume.Source{}), s.snapshot("w"), s.create("v", true, s.fromSnapshot()))
}

// TestStageForged lets a thief of a tenant's writing key name in its record what
// other volumes of the node show: it gets no one's mount.
func TestStageForged(t *testing.T) {
	for name, forge := range map[string]func(s stand, parent map[string]any){
		"its own tenant":    func(s stand, parent map[string]any) { parent["tenant"] = "acme" },
		"its own subvolume": func(s stand, parent map[string]any) { parent["tenant"], parent["subvolume"] = "acme", s.subvolume("w") },
		"a way out":         func(s stand, parent map[string]any) { parent["directory"] = "../../x" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.shown("other", "v")
			s.must(s.create("w", false, volume.Source{}))
			s.must(s.stage(s.fresh(), "other"))
			before := s.node.Contents()
			record := "vol." + s.id("v").Hash
			old, err := s.files.ReadRecord(t.Context(), s.at, record)
			s.must(err)
			var content map[string]any
			s.must(json.Unmarshal(old, &content))
			forge(s, content["parent"].(map[string]any))
			forged, err := json.Marshal(content)
			s.must(err)
			s.must(s.files.SwapRecord(t.Context(), s.at, record, old, forged))
			if err := s.stage(s.fresh(), "v", as("alone")); !errors.Is(err, volume.ErrNotFound) && !errors.Is(err, volume.ErrDenied) {
				t.Fatalf("got %v", err)
			}
			s.must(s.fresh().Sweep(t.Context()))
			if !slices.Equal(s.node.Contents(), before) {
				t.Fatalf("a forged record left %q", s.node.Contents())
			}
		})
	}
}

// subvolume is the subvolume of a writable volume.
func (s stand) subvolume(name string) string {
	names, err := s.files.ListSubvolumes(context.Background(), s.at)
	s.must(err)
	for _, n := range names {
		if strings.HasPrefix(n, "vol."+s.id(name).Hash+".") {
			return n
		}
	}
	s.t.Fatalf("volume %s has no subvolume", name)
	return ""
}

// TestStageWritable mounts a volume for itself: with its writer's key, or for
// reading with the tenant's.
func TestStageWritable(t *testing.T) {
	s := newStand(t)
	s.must(s.create("v", false, volume.Source{}))
	if err := s.stage(s.fresh(), "v", writing, as("acme")); !errors.Is(err, volume.ErrDenied) {
		t.Fatalf("a reader's key writes: %v", err)
	}
	for _, c := range []struct {
		how  how
		user string
	}{{writing, "sdpfs.acme." + s.subvolume("v")}, {as("acme"), "acme"}} {
		for range 2 {
			s.must(s.stage(s.fresh(), "v", c.how))
		}
		if s.node.User(place("v")) != c.user || s.count("process") != 1 {
			t.Fatalf("mounted as %s: %q", s.node.User(place("v")), s.node.Contents())
		}
		s.must(s.fresh().Shown(t.Context(), s.at, s.id("v"), ""))
		s.must(s.fresh().Expand(t.Context(), s.at, s.id("v"), place("v")))
		if err := s.fresh().Shown(t.Context(), s.at, s.id("w"), place("v")); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("another volume: %v", err)
		}
		s.must(s.unstage(s.fresh(), "v"))
		s.must(s.unstage(s.fresh(), "v"))
		s.must(s.node.Unpublish(t.Context(), place("v")))
		s.empty("unstaged")
	}
	s.must(s.stage(s.fresh(), "v", writing))
	if err := s.stage(s.fresh(), "v"); !errors.Is(err, volume.ErrConflict) {
		t.Errorf("staged for writing, and then for reading: %v", err)
	}
}
