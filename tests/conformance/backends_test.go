package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// fact is something in which the backends differ by design.
type fact string

const (
	// block: it has block volumes.
	block fact = "block"
	// formats: a golden has a file system of its own, which decides what can be
	// made of it.
	formats fact = "formats"
	// holds: what shows a snapshot keeps it from being deleted. With the others
	// whatever is made of a snapshot lives without it.
	holds fact = "holds"
)

// facts are what is true of each backend.
func facts() map[volume.Backend][]fact {
	return map[volume.Backend][]fact{volume.RBD: {block, formats}, volume.CephFS: {holds}}
}

// provisioner is a backend as pkg/driver sees it.
type provisioner interface {
	driver.Provisioner
	driver.Snapshotter
}

// contents are where a backend's volumes have their data.
type contents interface {
	// fill gives a golden's image its text, before it is sealed.
	fill(t *testing.T, at tenant.Place, image, text string)
	// write makes a writable volume's text another one.
	write(t *testing.T, id volume.ID, text string)
	// read returns the first n bytes of a volume's text.
	read(t *testing.T, id volume.ID, n int) string
}

// backend is a storage on a Ceph, fake or real, with three tenants that nobody
// else uses; small is the one with limits.
type backend struct {
	contents
	kind                volume.Backend
	store               golden.Store
	acme, public, small tenant.Place
	slow                bool       // a real Ceph
	ceph                *fake.Ceph // nil with a real one
	// begin returns a controller that has just started.
	begin func(rbd.Goldens) provisioner
	// leftovers lists all that a place holds.
	leftovers func(at tenant.Place) []string
}

func (b backend) has(f fact) bool { return slices.Contains(facts()[b.kind], f) }

// onBackends runs the test on each backend of the fake and of the real Ceph.
func onBackends(t *testing.T, test func(*testing.T, backend)) {
	for name, begin := range map[string]func(*testing.T) backend{
		"fake rbd": fakeImages, "fake cephfs": fakeFiles, "fake cephfs, asking": fakeAskingFiles, "ceph rbd": realImages, "ceph cephfs": realFiles,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait for Ceph, each for itself
			test(t, begin(t))
		})
	}
}

// policyOf is a policy of one cluster with three tenants.
func policyOf(t *testing.T, cluster, acme, public, small string) *tenant.Policy {
	t.Helper()
	text := fmt.Sprintf("clusters: [%s]\ntenants: [{name: %[2]s, namespaces: [%[2]s]}, {name: %[3]s, namespaces: [%[3]s]},"+
		" {name: %[4]s, namespaces: [%[4]s], limits: {volumes: 2, bytes: 20Mi, largest: 16Mi}}]\n", cluster, acme, public, small)
	policy, err := tenant.Parse([]byte(text))
	must(t, err)
	return policy
}

func (b backend) in(t *testing.T, p *tenant.Policy, acme, public, small string) backend {
	b.acme, b.public, b.small = place(t, p, acme), place(t, p, public), place(t, p, small)
	return b
}

const fakeCluster = `{id: test, monitors: ["127.0.0.1:3300"], pool: rbd, fileSystem: cephfs}`

func fakeImages(t *testing.T) backend {
	c := fake.NewCeph()
	b := backend{kind: volume.RBD, store: c, ceph: c, leftovers: c.Contents}
	b = b.in(t, policyOf(t, fakeCluster, "acme", "public", "small"), "acme", "public", "small")
	b.contents = images{c, b.acme}
	b.begin = func(g rbd.Goldens) provisioner { return rbd.NewProvisioner(c, g) }
	return b
}

func realImages(t *testing.T) backend {
	s := realStand(t)
	b := backend{kind: volume.RBD, store: s.cluster, slow: true, leftovers: s.leftovers}
	b = b.in(t, s.policy, "acme", "public", "small")
	b.contents = images{s.cluster, b.acme}
	b.begin = func(g rbd.Goldens) provisioner { return rbd.NewProvisioner(s.cluster, g) }
	return b
}

func fakeFiles(t *testing.T) backend {
	f := fake.NewFileSystem(fake.NewCeph())
	b := backend{kind: volume.CephFS, store: f, ceph: f.Ceph, leftovers: f.Contents}
	b = b.in(t, policyOf(t, fakeCluster, "acme", "public", "small"), "acme", "public", "small")
	b.contents = fakeContents{f, b.acme}
	b.begin = filesController(t, f)
	return b
}

// fakeAskingFiles has a controller that makes no users itself, as the real one
// of these tests.
func fakeAskingFiles(t *testing.T) backend {
	f := fake.NewFileSystem(fake.NewCeph())
	policy := policyOf(t, fakeCluster, "acme", "public", "small")
	b := backend{kind: volume.CephFS, store: f, ceph: f.Ceph, leftovers: f.Contents}.in(t, policy, "acme", "public", "small")
	b.contents = fakeContents{f, b.acme}
	b.begin = filesController(t, fake.NewAsking(f, policy))
	return b
}

// filesController begins controllers that end with the test.
func filesController(t *testing.T, c cephfs.Cluster) func(rbd.Goldens) provisioner {
	return func(g rbd.Goldens) provisioner {
		p := cephfs.NewProvisioner(c, g, cephfs.Options{Copies: 60})
		t.Cleanup(p.Close)
		return p
	}
}

// expectNothing fails where a place holds anything.
func (b backend) expectNothing(t *testing.T, at tenant.Place) {
	t.Helper()
	if all := b.leftovers(at); len(all) > 0 {
		t.Errorf("left in %s: %q", at, all)
	}
}

// images are contents of RBD images: what they begin with.
type images struct {
	store golden.Store
	at    tenant.Place
}

func (i images) fill(t *testing.T, at tenant.Place, image, text string) {
	t.Helper()
	writeImage(t, i.store, at, image, text, 0)
}

func (i images) write(t *testing.T, id volume.ID, text string) {
	t.Helper()
	writeImage(t, i.store, i.at, "vol."+id.Hash, text, 0)
}

func (i images) read(t *testing.T, id volume.ID, n int) string {
	t.Helper()
	return readImage(t, i.store, i.at, "vol."+id.Hash, n, 0)
}

// goldens are what a backend's goldens are.
type goldens map[string]volume.Golden

// seed makes two goldens of 12 MiB.
func (b backend) seed(t *testing.T) goldens {
	return goldens{"resnet50": b.golden(t, "resnet50", "erofs", "weights"), "squad": b.golden(t, "squad", "ext4", "corpus")}
}

func (b backend) golden(t *testing.T, name, fsType, text string) volume.Golden {
	ref := volume.GoldenRef{Tenant: b.public.Tenant(), Name: name, Version: "v1"}
	must(t, b.store.CreateImage(t.Context(), b.public, ref.Image(), 12*mib))
	b.fill(t, b.public, ref.Image(), text)
	must(t, b.store.CreateSnapshot(t.Context(), b.public, ref.Image(), volume.SealedSnapshot))
	id, err := b.store.ImageID(t.Context(), b.public, ref.Image())
	must(t, err)
	snapshot, err := b.store.SnapshotID(t.Context(), b.public, ref.Image(), volume.SealedSnapshot)
	must(t, err)
	return volume.Golden{Ref: ref, State: volume.GoldenReady, FsType: fsType, Size: 12 * mib, ImageID: id, SnapshotID: snapshot}
}

// unseed removes them, when nothing needs them any more.
func (b backend) unseed(t *testing.T, g goldens) {
	t.Helper()
	for _, one := range g {
		must(t, b.store.RemoveSnapshot(t.Context(), b.public, one.Ref.Image(), volume.SealedSnapshot))
		must(t, b.store.RemoveImage(t.Context(), b.public, one.Ref.Image()))
	}
}

// spec is a volume from a golden.
func (g goldens) spec(name, golden string, readOnly bool) volume.Spec {
	return volume.Spec{Name: name, ReadOnly: readOnly, Size: volume.Size{Required: mib}, Source: volume.Source{Golden: g[golden].Ref}}
}

func (b backend) id(name string) volume.ID { return b.acme.VolumeID(b.kind, name) }

func (b backend) snapshotID(name string) volume.SnapshotID { return b.acme.SnapshotID(b.kind, name) }

// applies says whether a script's line is for the backend: one that begins with
// a fact and a question mark is for those of which that is true. It returns the
// line without that.
func (b backend) applies(line string) (string, bool) {
	words := strings.SplitN(line, " ", 2)
	name, conditional := strings.CutSuffix(words[0], "?")
	if !conditional {
		return line, true
	}
	name, absent := strings.CutPrefix(name, "no-")
	return words[1], b.has(fact(name)) != absent
}
