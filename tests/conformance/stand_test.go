package conformance

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

const mib = 1 << 20

// cluster is all that a Ceph is to this project.
type cluster interface {
	rbd.Cluster
	golden.Store
}

// stand is what a test stands on: a Ceph, fake or real, with two tenants that
// nobody else uses.
type stand struct {
	cluster
	reader       rbd.Reader
	acme, public tenant.Place
	slow         bool // a real Ceph
	policy       *tenant.Policy
	// user makes a user that may read the tenant's namespace, and take leases.
	user func(name, tenant string) volume.Credentials
	// leftovers lists all that a place holds.
	leftovers func(at tenant.Place) []string
}

// onEach runs the test on the fake and on the real Ceph.
func onEach(t *testing.T, test func(*testing.T, stand)) {
	t.Run("fake", func(t *testing.T) { test(t, fakeStand(t)) })
	t.Run("ceph", func(t *testing.T) { test(t, realStand(t)) })
}

const policyFile = `
clusters: [{id: test, monitors: ["127.0.0.1:3300"], pool: rbd}]
tenants: [{name: acme, namespaces: [acme]}, {name: public, namespaces: [public]}]
`

func fakeStand(t *testing.T) stand {
	policy, err := tenant.Parse([]byte(policyFile))
	must(t, err)
	c := fake.NewCeph()
	s := stand{cluster: c, reader: c, acme: place(t, policy, "acme"), public: place(t, policy, "public"), leftovers: c.Contents}
	s.user = func(name, tenant string) volume.Credentials {
		c.Allow(name, volume.Secret("key of "+name), tenant)
		return volume.Credentials{User: name, Key: volume.Secret("key of " + name)}
	}
	return s
}

func realStand(t *testing.T) stand {
	real := realceph.New(t)
	policy := policyOf(t, real.Cluster("test", real.Pool("acme", "public", "small")), "acme", "public", "small")
	c, r := ceph.NewCluster(ceph.Options{}), ceph.NewReader(ceph.Options{})
	t.Cleanup(c.Close)
	t.Cleanup(r.Close)
	s := stand{cluster: c, reader: r, slow: true, policy: policy, acme: place(t, policy, "acme"), public: place(t, policy, "public")}
	s.user = func(name, tenant string) volume.Credentials {
		name = s.acme.Pool() + "-" + name
		key := real.User(name, "mon", "profile rbd-read-only", "osd", "profile rbd-read-only pool="+s.acme.Pool()+" namespace="+tenant+
			", allow w pool="+s.acme.Pool()+" namespace="+tenant+" object_prefix sdp.lease.")
		return volume.Credentials{User: name, Key: volume.Secret(key)}
	}
	s.leftovers = func(at tenant.Place) []string { return objects(real, at) }
	return s
}

// objects lists the RADOS objects of a place, without those that stay when
// all images and records are gone, the index's entries and the
// quota's shares.
func objects(real *realceph.Ceph, at tenant.Place) []string {
	var all []string
	for _, name := range strings.Fields(real.Rados("-p", at.Pool(), "-N", at.Namespace(), "ls")) {
		switch name {
		case "rbd_directory", "rbd_info", "rbd_children", "rbd_trash":
		case "sdp.index", "sdp.quota":
			all = append(all, strings.Fields(real.Rados("-p", at.Pool(), "-N", at.Namespace(), "listomapkeys", name))...)
		default:
			all = append(all, name)
		}
	}
	return all
}

func place(t *testing.T, p *tenant.Policy, namespace string) tenant.Place {
	t.Helper()
	at, err := p.Admit(namespace, "")
	must(t, err)
	return at
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expect fails unless err wraps want; nil wants success.
func expect(t *testing.T, doing string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", doing, err, want)
	}
}

// race calls one function many times at once and returns the errors.
func race(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var ready, group sync.WaitGroup
	ready.Add(n)
	for i := range n {
		group.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = call(i)
		})
	}
	group.Wait()
	return errs
}

// expectOne fails unless one call succeeded and the others wrap want. It
// returns which one.
func expectOne(t *testing.T, doing string, errs []error, want error) int {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case !errors.Is(err, want):
			t.Fatalf("%s, call %d: got %v, want %v but for one", doing, i, err, want)
		}
	}
	if winner < 0 {
		t.Fatalf("%s: no call succeeded", doing)
	}
	return winner
}

// write puts text at an offset of an image.
func (s stand) write(t *testing.T, at tenant.Place, name, text string, off int64) {
	t.Helper()
	writeImage(t, s.cluster, at, name, text, off)
}

// read returns n bytes at an offset of an image.
func (s stand) read(t *testing.T, at tenant.Place, name string, n int, off int64) string {
	t.Helper()
	return readImage(t, s.cluster, at, name, n, off)
}

func writeImage(t *testing.T, to golden.Images, at tenant.Place, name, text string, off int64) {
	t.Helper()
	image, err := to.OpenImage(context.Background(), at, name)
	must(t, err)
	_, err = image.WriteAt([]byte(text), off)
	must(t, err)
	must(t, image.Flush())
	must(t, image.Close())
}

func readImage(t *testing.T, from golden.Images, at tenant.Place, name string, n int, off int64) string {
	t.Helper()
	image, err := from.OpenImage(context.Background(), at, name)
	must(t, err)
	data := make([]byte, n)
	if got, err := image.ReadAt(data, off); got < n || (err != nil && !errors.Is(err, io.EOF)) {
		t.Fatalf("read %s: %d bytes, %v", name, got, err)
	}
	must(t, image.Close())
	return string(data)
}

// expectNothing fails where a place holds anything.
func (s stand) expectNothing(t *testing.T, at tenant.Place) {
	t.Helper()
	if all := s.leftovers(at); len(all) > 0 {
		t.Errorf("left in %s: %q", at, all)
	}
}
