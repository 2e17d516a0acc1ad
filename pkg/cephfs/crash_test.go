package cephfs_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// world is a fake file system with a golden of the tenant public.
type world struct {
	t          *testing.T
	files      *fake.FileSystem
	controls   cephfs.Cluster // what the driver has of it
	policy     *tenant.Policy
	at, public tenant.Place
	golden     volume.Golden
}

func newWorld(t *testing.T) *world {
	policy, err := tenant.Parse([]byte("clusters: [{id: test, monitors: [\"127.0.0.1:3300\"], pool: rbd, fileSystem: cephfs}]\n" +
		"tenants: [{name: acme, namespaces: [acme], goldens: [\"public/*\"]}, {name: public, namespaces: [public]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, files: fake.NewFileSystem(fake.NewCeph()), policy: policy}
	w.controls = w.files
	w.at, err = policy.Default("acme", "test")
	w.must(err)
	w.public, err = policy.Default("public", "test")
	w.must(err)
	ref := volume.GoldenRef{Tenant: "public", Name: "m", Version: "v1"}
	directory, err := w.files.CreateSubvolume(t.Context(), w.public, ref.Image(), 0)
	w.must(err)
	w.files.Fill(w.public, ref.Image(), "weights")
	w.must(w.files.CreateSnapshot(t.Context(), w.public, ref.Image(), volume.SealedSnapshot))
	w.golden = volume.Golden{Ref: ref, State: volume.GoldenReady, Size: 1 << 20, ImageID: directory}
	return w
}

// newAskingWorld is a world whose driver has no right on users. Who makes them
// for it dies when it does.
func newAskingWorld(t *testing.T) *world {
	w := newWorld(t)
	w.controls = fake.NewAsking(w.files, w.policy)
	return w
}

// Resolve implements cephfs.Goldens.
func (w *world) Resolve(context.Context, tenant.Place, volume.GoldenRef) (volume.Golden, error) {
	return w.golden, nil
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// with runs a request of a driver that has just started and ends with it.
func (w *world) with(do func(*cephfs.Provisioner) error) error {
	p := cephfs.NewProvisioner(w.controls, w, cephfs.Options{})
	defer p.Close()
	return do(p)
}

func (w *world) id(name string) volume.ID { return w.at.VolumeID(volume.CephFS, name) }

func (w *world) create(name string, readOnly bool, source volume.Source) error {
	return w.with(func(p *cephfs.Provisioner) error {
		_, err := p.Create(context.Background(), w.at, w.public, w.id(name), volume.Spec{Name: name, ReadOnly: readOnly, Source: source})
		return err
	})
}

func (w *world) snapshot(source string) error {
	return w.with(func(p *cephfs.Provisioner) error {
		_, err := p.CreateSnapshot(context.Background(), w.at, w.snapshotID(), "s", w.id(source))
		return err
	})
}

func (w *world) snapshotID() volume.SnapshotID { return w.at.SnapshotID(volume.CephFS, "s") }

func (w *world) deleteSnapshot() error {
	return w.with(func(p *cephfs.Provisioner) error { return p.DeleteSnapshot(context.Background(), w.at, w.snapshotID()) })
}

func (w *world) delete(name string) error {
	return w.with(func(p *cephfs.Provisioner) error { return p.Delete(context.Background(), w.at, w.id(name)) })
}

// fromGolden, fromVolume and fromSnapshot are sources.
func (w *world) fromGolden() volume.Source { return volume.Source{Golden: w.golden.Ref} }

func (w *world) fromVolume(name string) volume.Source { return volume.Source{Volume: w.id(name)} }

func (w *world) fromSnapshot() volume.Source { return volume.Source{Snapshot: w.snapshotID()} }

var attempt = regexp.MustCompile(`\.[A-Z2-7]{26}`)

// contents are what there is, without the names of attempts.
func (w *world) contents() []string {
	all := w.files.Contents(w.at)
	for i, line := range all {
		all[i] = attempt.ReplaceAllString(line, ".ATTEMPT")
	}
	slices.Sort(all)
	return all
}

// verb is one request in a world that was prepared for it.
type verb struct {
	prepare func(w *world) []error
	do      func(w *world) error
}

func none(*world) []error { return nil }

// verbs are the requests that change something, in each of the situations
// that make them go another way.
func verbs() map[string]verb {
	return map[string]verb{
		"create blank": {none, func(w *world) error { return w.create("new", false, volume.Source{}) }},
		"show golden":  {none, func(w *world) error { return w.create("new", true, w.fromGolden()) }},
		"copy golden":  {none, func(w *world) error { return w.create("new", false, w.fromGolden()) }},
		"show volume": {func(w *world) []error { return []error{w.create("v", false, volume.Source{})} },
			func(w *world) error { return w.create("new", true, w.fromVolume("v")) }},
		"copy volume": {func(w *world) []error { return []error{w.create("v", false, volume.Source{})} },
			func(w *world) error { return w.create("new", false, w.fromVolume("v")) }},
		"copy shown golden": {func(w *world) []error { return []error{w.create("v", true, w.fromGolden())} },
			func(w *world) error { return w.create("new", false, w.fromVolume("v")) }},
		"snapshot": {func(w *world) []error { return []error{w.create("v", false, volume.Source{})} },
			func(w *world) error { return w.snapshot("v") }},
		"snapshot of shown golden": {func(w *world) []error { return []error{w.create("v", true, w.fromGolden())} },
			func(w *world) error { return w.snapshot("v") }},
		"show snapshot": {func(w *world) []error { return []error{w.create("v", false, volume.Source{}), w.snapshot("v")} },
			func(w *world) error { return w.create("new", true, w.fromSnapshot()) }},
		"delete": {func(w *world) []error { return []error{w.create("v", false, volume.Source{})} },
			func(w *world) error { return w.delete("v") }},
		"delete shown golden": {func(w *world) []error { return []error{w.create("v", true, w.fromGolden())} },
			func(w *world) error { return w.delete("v") }},
		"delete with a snapshot": {func(w *world) []error { return []error{w.create("v", false, volume.Source{}), w.snapshot("v")} },
			func(w *world) error { return w.delete("v") }},
		"delete the last snapshot of a deleted volume": {
			func(w *world) []error {
				return []error{w.create("v", false, volume.Source{}), w.snapshot("v"), w.delete("v")}
			},
			func(w *world) error { return w.deleteSnapshot() }},
		"delete what shows a deleted volume": {
			func(w *world) []error {
				return []error{w.create("v", false, volume.Source{}), w.create("c", true, w.fromVolume("v")), w.delete("v")}
			},
			func(w *world) error { return w.delete("c") }},
		"delete a snapshot of a shown golden": {
			func(w *world) []error { return []error{w.create("v", true, w.fromGolden()), w.snapshot("v")} },
			func(w *world) error { return w.deleteSnapshot() }},
	}
}

// TestCrashes lets the driver die before and after every effect of every
// request. The retry ends as if nothing had happened, and all that there is
// can be deleted.
func TestCrashes(t *testing.T) {
	for name, v := range verbs() {
		for _, when := range []fake.When{fake.Before, fake.After} {
			t.Run(fmt.Sprintf("%s/%d", name, when), func(t *testing.T) { crashEverywhere(t, newWorld, v, when) })
			t.Run(fmt.Sprintf("%s, asking/%d", name, when), func(t *testing.T) { crashEverywhere(t, newAskingWorld, v, when) })
		}
	}
}

func crashEverywhere(t *testing.T, begin func(*testing.T) *world, v verb, when fake.When) {
	calm := begin(t)
	calm.must(errors.Join(v.prepare(calm)...))
	calm.must(v.do(calm))
	want := calm.contents()
	for n := 1; ; n++ {
		w := begin(t)
		empty := w.contents()
		w.must(errors.Join(v.prepare(w)...))
		w.files.Reset(fake.At(n, fake.Fault{When: when, Crash: true}))
		err := v.do(w)
		met := w.files.Crashed()
		w.files.Restart()
		if !met {
			w.must(err)
			if n < 4 {
				t.Fatalf("the request has %d effects only", n-1)
			}
			return
		}
		w.must(v.do(w))
		if got := w.contents(); !slices.Equal(got, want) {
			t.Fatalf("effect %d: there is\n%q\nand should be\n%q", n, got, want)
		}
		w.takeApart(empty)
	}
}

// takeApart deletes all and looks for leftovers.
func (w *world) takeApart(empty []string) {
	w.t.Helper()
	for _, name := range []string{"new", "c"} {
		w.must(w.delete(name))
	}
	w.must(w.deleteSnapshot())
	w.must(w.delete("v"))
	w.must(w.with(func(p *cephfs.Provisioner) error { return p.Sweep(context.Background(), w.at) }))
	if got := w.contents(); !slices.Equal(got, empty) {
		w.t.Fatalf("left over:\n%q\nthere was\n%q", got, empty)
	}
}

// TestForgedRecord lets a tenant's stolen writing key write a record that
// names another tenant's data.
func TestForgedRecord(t *testing.T) {
	w := newWorld(t)
	w.must(w.create("v", true, w.fromGolden()))
	w.must(w.with(func(p *cephfs.Provisioner) error { return p.Delete(context.Background(), w.at, w.id("v")) }))
	forged := fmt.Sprintf(`{"v":1,"state":"ready","readOnly":true,"parent":{"tenant":"public","subvolume":"golden.m.v1","directory":%q,"snapshot":"sealed","size":1}}`, w.golden.ImageID)
	w.must(w.files.CreateRecord(t.Context(), w.at, "vol."+w.id("v").Hash, []byte(forged)))
	if err := w.create("new", false, w.fromVolume("v")); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("a copy of what the record names: %v", err)
	}
	w.must(w.delete("v"))
	forged = `{"v":1,"state":"ready","subvolume":"golden.m.v1"}`
	w.must(w.files.CreateRecord(t.Context(), w.at, "vol."+w.id("v").Hash, []byte(forged)))
	if err := w.delete("v"); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("deletion of what the record names: %v", err)
	}
}
