package rbd_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// policyFile has two tenants in one cluster.
const policyFile = `
clusters:
- {id: test, monitors: ["127.0.0.1:3300"], pool: rbd}
tenants:
- {name: acme, namespaces: [acme], goldens: ["public/*"]}
- {name: public, namespaces: [public]}
`

// goldens are the sealed goldens that a world has.
type goldens map[string]volume.Golden

func (g goldens) Resolve(_ context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	found, ok := g[at.Tenant()+"/"+ref.Image()]
	if !ok {
		return volume.Golden{}, fmt.Errorf("golden %s: %w", ref, volume.ErrNotFound)
	}
	return found, nil
}

// world is a Ceph with a tenant acme, whose verbs tests call, and a tenant
// public, which has the goldens.
type world struct {
	t       *testing.T
	ceph    *fake.Ceph
	goldens goldens
	at      tenant.Place // acme
	public  tenant.Place
}

func newWorld(t *testing.T) *world {
	t.Helper()
	policy, err := tenant.Parse([]byte(policyFile))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ceph: fake.NewCeph(), goldens: goldens{}}
	w.at, w.public = w.place(policy, "acme"), w.place(policy, "public")
	w.seed("resnet50", "erofs", 1536*mib)
	w.seed("squad", "ext4", 64*mib)
	return w
}

func (w *world) place(p *tenant.Policy, name string) tenant.Place {
	at, err := p.Admit(name, "")
	w.must(err)
	return at
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// seed makes a sealed golden name:v1 of the tenant public.
func (w *world) seed(name, fsType string, size int64) {
	ctx, ref := context.Background(), volume.GoldenRef{Tenant: "public", Name: name, Version: "v1"}
	w.must(w.ceph.CreateImage(ctx, w.public, ref.Image(), size))
	w.must(w.ceph.Fill(w.public, ref.Image(), fsType, "content of "+name))
	w.must(w.ceph.CreateSnapshot(ctx, w.public, ref.Image(), volume.SealedSnapshot))
	id, err := w.ceph.ImageID(ctx, w.public, ref.Image())
	w.must(err)
	w.goldens["public/"+ref.Image()] = volume.Golden{Ref: ref, State: volume.GoldenReady, FsType: fsType, Size: size, ImageID: id}
}

// fresh is the provisioner of a driver that has just started.
func (w *world) fresh() *rbd.Provisioner { return rbd.NewProvisioner(w.ceph, w.goldens) }

func (w *world) id(name string) volume.ID { return w.at.VolumeID(volume.RBD, name) }

func (w *world) snapshotID(name string) volume.SnapshotID { return w.at.SnapshotID(volume.RBD, name) }

// spec asks for a volume with the source: "", golden:NAME, volume:NAME or
// snapshot:NAME.
func (w *world) spec(name, kind, source string, mebibytes int64, readOnly bool) volume.Spec {
	spec := volume.Spec{Name: name, ReadOnly: readOnly, Size: volume.Size{Required: mebibytes * mib}}
	switch kind {
	case "golden":
		spec.Source.Golden = volume.GoldenRef{Tenant: "public", Name: source, Version: "v1"}
	case "volume":
		spec.Source.Volume = w.id(source)
	case "snapshot":
		spec.Source.Snapshot = w.snapshotID(source)
	}
	return spec
}

func (w *world) create(spec volume.Spec) error {
	_, err := w.fresh().Create(context.Background(), w.at, w.public, w.id(spec.Name), spec)
	return err
}

func (w *world) blank(name string) error { return w.create(w.spec(name, "", "", 32, false)) }

func (w *world) from(name, kind, source string) error {
	return w.create(w.spec(name, kind, source, 0, false))
}

func (w *world) delete(name string) error {
	return w.fresh().Delete(context.Background(), w.at, w.id(name))
}

func (w *world) snapshot(name, source string) error {
	_, err := w.fresh().CreateSnapshot(context.Background(), w.at, w.snapshotID(name), name, w.id(source))
	return err
}

func (w *world) deleteSnapshot(name string) error {
	return w.fresh().DeleteSnapshot(context.Background(), w.at, w.snapshotID(name))
}

func (w *world) expand(name string, mebibytes int64) error {
	_, err := w.fresh().Expand(context.Background(), w.at, w.id(name), volume.Size{Required: mebibytes * mib})
	return err
}

// run calls steps in turn, which must succeed.
func (w *world) run(steps ...error) {
	w.t.Helper()
	for _, err := range steps {
		w.must(err)
	}
}

var imageID = regexp.MustCompile(`del\.[0-9a-z]+`)

// contents are the tenant's contents. Ids of images, which differ from run to
// run, are left out of names.
func (w *world) contents() []string {
	all := w.ceph.Contents(w.at)
	for i, line := range all {
		all[i] = imageID.ReplaceAllString(line, "del.ID")
	}
	slices.Sort(all)
	return all
}

func (w *world) expect(what string, want []string) {
	w.t.Helper()
	if got := w.contents(); !slices.Equal(got, want) {
		w.t.Fatalf("%s: there is\n%q\nand should be\n%q", what, got, want)
	}
}

// volumes returns the volumes that are listed, by their names, and checks that
// each has the image that its record tells of.
func (w *world) volumes() map[string]volume.Volume {
	w.t.Helper()
	all, _, err := w.fresh().List(context.Background(), w.at, "", 1000)
	w.must(err)
	found := map[string]volume.Volume{}
	for _, v := range all {
		found[v.Name] = v
		w.checkImage(v)
	}
	return found
}

func (w *world) checkImage(v volume.Volume) {
	w.t.Helper()
	name := "vol." + v.ID.Hash
	data, err := w.ceph.ReadRecord(context.Background(), w.at, name)
	w.must(err)
	var rec struct{ ImageID string }
	w.must(json.Unmarshal(data, &rec))
	if id, err := w.ceph.ImageID(context.Background(), w.at, name); err != nil || id != rec.ImageID {
		w.t.Fatalf("volume %s is listed with image %s, there is %q, %v", v.Name, rec.ImageID, id, err)
	}
}

// checkSentinel fails for errors that callers must not see.
func (w *world) checkSentinel(err error) {
	w.t.Helper()
	if errors.Is(err, volume.ErrExists) || errors.Is(err, volume.ErrHasSnapshots) {
		w.t.Fatalf("an error of a port reached the caller: %v", err)
	}
}

// names are the keys of a map in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
