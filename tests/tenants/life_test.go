package tenants

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// function is what a running function has: an open image, and the connection
// of the node that shows it.
type function struct {
	*scene
	conn  *rados.Conn
	ioctx *rados.IOContext
	image *librbd.Image
}

// start opens an image of a tenant with a user's key, as a node maps it.
func (s *scene) start(c volume.Credentials, namespace, image string) *function {
	s.t.Helper()
	f := &function{scene: s}
	var err error
	f.conn, err = s.connect(c)
	must(s.t, err)
	f.ioctx, err = f.conn.OpenIOContext(s.place(s.a).Pool())
	must(s.t, err)
	f.ioctx.SetNamespace(namespace)
	f.image, err = librbd.OpenImageReadOnly(f.ioctx, image, librbd.NoSnapshot)
	must(s.t, err)
	s.t.Cleanup(f.end)
	return f
}

func (f *function) end() {
	if f.conn == nil {
		return
	}
	_ = f.image.Close()
	f.ioctx.Destroy()
	f.conn.Shutdown()
	f.conn = nil
}

// reads reads the image's beginning. librbd has no cache of data that was
// read, so it comes from Ceph each time.
func (f *function) reads() error {
	_, err := f.image.ReadAt(make([]byte, 4096), 0)
	return err
}

// refused says whether a key gets a client nowhere. It says why in its log.
func (s *scene) refused(c volume.Credentials) bool {
	conn, err := s.connect(c)
	conn.Shutdown()
	return err != nil
}

func TestRotationUnmountsNothing(t *testing.T) {
	s := newScene(t)
	r, at := s.registrar(), s.place(s.a)
	image := s.volume(s.a, "own", volume.GoldenRef{})
	old := s.keys(s.a)
	running := s.start(old.Reader, s.a, image)
	if _, err := r.Rotate(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	fresh := s.keys(s.a)
	if fresh.Reader.User == old.Reader.User || fresh.Reader.Key == old.Reader.Key {
		t.Fatalf("the reader is still %s", fresh.Reader.User)
	}
	must(t, running.reads())
	eventually(t, "the old reader is in use, the old writer is gone", func() bool {
		inUse, err := r.Finish(t.Context(), at)
		must(t, err)
		return len(inUse) == 1 && inUse[0].Role == tenant.Reader && s.refused(*old.Writer)
	})
	must(t, running.reads())
	must(t, s.start(fresh.Reader, s.a, image).reads())
	running.end()
	eventually(t, "the old reader goes when nothing is mapped with it", func() bool {
		inUse, err := r.Finish(t.Context(), at)
		must(t, err)
		return len(inUse) == 0
	})
	if !s.refused(old.Reader) || s.refused(fresh.Reader) {
		t.Error("the old key still works, or the new one does not")
	}
}

// TestRevocation shows what running functions see: those of the tenant get
// errors for whatever is read from Ceph, those of others and whoever reads a
// golden with the golden's own reader go on.
func TestRevocation(t *testing.T) {
	s := newScene(t)
	v1 := s.seed(s.public, granted)
	clone, theirs := s.volume(s.a, "of granted", v1), s.volume(s.b, "theirs", volume.GoldenRef{})
	keys := s.keys(s.a)
	reader, writer := s.start(keys.Reader, s.a, clone), s.start(*keys.Writer, s.a, clone)
	shared := s.start(keys.Goldens[v1], s.public, v1.Image())
	other := s.start(s.keys(s.b).Reader, s.b, theirs)
	for _, f := range []*function{reader, writer, shared, other} {
		must(t, f.reads())
	}
	s.readmitLater(s.a)
	cut, err := s.registrar().Revoke(t.Context(), s.place(s.a))
	must(t, err)
	if cut < 2 {
		t.Errorf("%d clients were shut out, there are two", cut)
	}
	eventually(t, "the tenant's running functions are cut off", func() bool { return reader.reads() != nil && writer.reads() != nil })
	must(t, shared.reads())
	must(t, other.reads())
	if !s.refused(keys.Reader) || !s.refused(*keys.Writer) {
		t.Error("a key of the revoked tenant still gets in")
	}
	if s.refused(s.keys(s.b).Reader) || s.refused(keys.Goldens[v1]) {
		t.Error("somebody else's key was refused")
	}
	s.sync()
	if _, err := s.registrar().Keys(t.Context(), s.place(s.a)); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("a sync gave the revoked tenant keys: %v", err)
	}
	_, err = s.registrar().Create(t.Context(), s.place(s.a))
	must(t, err)
	must(t, s.start(s.keys(s.a).Reader, s.a, clone).reads())
}

// readmitLater takes a tenant's clients off the blocklist with the test: a Ceph that
// many tests use would collect them for a year.
func (s *scene) readmitLater(name string) {
	s.t.Helper()
	clients, err := s.cluster.Connected(s.t.Context(), s.place(s.a))
	must(s.t, err)
	for u, addresses := range clients {
		if u.Tenant != name || u.Role == "" {
			continue
		}
		for _, address := range addresses {
			s.t.Cleanup(func() { s.ceph.Admin("osd", "blocklist", "rm", address) })
		}
	}
}

func TestWithdrawnGrant(t *testing.T) {
	s := newScene(t)
	v1 := s.seed(s.public, granted)
	clone := s.volume(s.a, "of granted", v1)
	before := s.keys(s.a)
	shared := s.start(before.Goldens[v1], s.public, v1.Image())
	s.under()
	if rotated := s.sync(); !slices.Equal(rotated, []volume.GoldenRef{v1}) {
		t.Errorf("goldens with a new key: %v, want %s", rotated, v1)
	}
	if _, err := s.policy.Golden(s.place(s.a), v1); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("a new clone of a withdrawn golden: %v, want volume.ErrDenied", err)
	}
	if got := s.keys(s.a); len(got.Goldens) != 0 {
		t.Errorf("A still gets the keys of %d goldens", len(got.Goldens))
	}
	must(t, shared.reads())
	must(t, s.start(before.Reader, s.a, clone).reads())
	standing, err := s.registrar().Standing(t.Context(), s.place(s.a))
	must(t, err)
	if !slices.Equal(standing.Withdrawn[v1], []string{clone}) {
		t.Errorf("tenant show lists %v on the withdrawn golden, want %s", standing.Withdrawn[v1], clone)
	}
	s.lastCloneGoes(clone, v1)
	if got := s.keys(s.public).Goldens[v1]; got.User == before.Goldens[v1].User || s.refused(got) {
		t.Errorf("the golden's reader in force is %s", got.User)
	}
	shared.end()
	eventually(t, "the golden's old key is gone", func() bool {
		inUse, err := s.registrar().Finish(t.Context(), s.place(s.public))
		must(t, err)
		return len(inUse) == 0 && s.refused(before.Goldens[v1])
	})
}

// lastCloneGoes removes A's clone of a golden. Then nothing of A needs it.
func (s *scene) lastCloneGoes(clone string, golden volume.GoldenRef) {
	s.t.Helper()
	id := volume.ID{Backend: volume.RBD, Cluster: "test", Tenant: s.a, Hash: strings.TrimPrefix(clone, "vol.")}
	must(s.t, rbd.NewProvisioner(s.cluster, s.library).Delete(s.t.Context(), s.place(s.a), id))
	imageID, err := s.cluster.ImageID(s.t.Context(), s.place(s.public), golden.Image())
	must(s.t, err)
	read := func() error {
		conn := s.session(s.keys(s.a).Reader)
		_, err := s.in(conn, s.public).Read("rbd_header."+imageID, make([]byte, 16), 0)
		return err
	}
	must(s.t, read())
	s.sync()
	if err := read(); !isRefusal(err) {
		s.t.Errorf("A reads the withdrawn golden without a clone of it: %v", err)
	}
}

func TestDeletionRefusesData(t *testing.T) {
	s := newScene(t)
	image := s.volume(s.a, "own", volume.GoldenRef{})
	r, at := s.registrar(), s.place(s.a)
	if err := r.Delete(t.Context(), at); !errors.Is(err, volume.ErrInUse) || !strings.Contains(err.Error(), image) {
		t.Errorf("Delete with a volume: %v, want volume.ErrInUse that names %s", err, image)
	}
	id := volume.ID{Backend: volume.RBD, Cluster: "test", Tenant: s.a, Hash: strings.TrimPrefix(image, "vol.")}
	must(t, rbd.NewProvisioner(s.cluster, s.library).Delete(t.Context(), at, id))
	keys := s.keys(s.a)
	for range 2 {
		must(t, r.Delete(t.Context(), at))
	}
	if !s.refused(keys.Reader) {
		t.Error("the deleted tenant's key still works")
	}
	if got, err := s.cluster.ListNamespaces(t.Context(), at); err != nil || slices.Contains(got, s.a) || !slices.Contains(got, s.b) {
		t.Errorf("namespaces: %v, %v", got, err)
	}
}
