package tenants

import (
	"errors"
	"path"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// reading is a running function of CephFS: its node's mount of what it reads.
type reading struct {
	fileThief
	root, name string
}

// show mounts a directory with a user's key and reads a file below it.
func (s *filesScene) show(c volume.Credentials, root, name string) reading {
	s.t.Helper()
	conn, err := s.connect(c)
	must(s.t, err)
	r := reading{fileThief{s, &client{conn: conn}}, root, name}
	s.t.Cleanup(r.end)
	must(s.t, r.reads())
	return r
}

// end unmounts and disconnects. To end what has ended does nothing.
func (r reading) end() {
	r.close()
	r.conn.Shutdown()
}

// reads asks Ceph's servers anew: what this client has of the file it drops
// when the file is closed.
func (r reading) reads() error { return r.read(r.root, r.name) }

// showGolden reads a golden's snapshot.
func (s *filesScene) showGolden(c volume.Credentials, ref volume.GoldenRef) reading {
	s.t.Helper()
	tr := s.golden("", ref)
	return s.show(c, tr.root(), path.Join("/.snap", tr.snapshot, tr.directory, "model"))
}

// showVolume reads and writes a volume.
func (s *filesScene) showVolume(id volume.ID) reading {
	s.t.Helper()
	name, directory := s.subvolumeOf(id)
	return s.show(s.writer(id), path.Join(cephfs.Root(id.Tenant, name), directory), "/model")
}

// writes makes a directory, which the file system's server does.
func (r reading) writes() error {
	m, err := r.mount(r.root)
	if err == nil {
		err = m.MakeDir("/made", 0o755)
	}
	if err == nil {
		err = m.RemoveDir("/made")
	}
	return err
}

// TestFilesRevocation cuts A off: what its own users and its volumes' have
// mounted is gone, at the OSDs and at the file system's server; B and whoever
// reads as a golden's reader go on; and A can be let in again.
func TestFilesRevocation(t *testing.T) {
	s := newFilesScene(t)
	ctx := t.Context()
	v1 := s.seed(s.public, granted)
	mine, theirs := s.volume(s.a, "own", volume.GoldenRef{}), s.volume(s.b, "theirs", volume.GoldenRef{})
	s.write(mine, "model", "mine")
	s.write(theirs, "model", "theirs")
	keys := s.keys(s.a)
	own, stolen := s.showVolume(mine), s.writer(mine)
	other, shared, reader := s.showVolume(theirs), s.showGolden(keys.Goldens[v1], v1), s.showGolden(keys.Reader, v1)
	s.readmitFilesLater(s.a)
	cut, err := s.registrar().Revoke(ctx, s.place(s.a))
	must(t, err)
	if cut < 2 {
		t.Errorf("%d clients were shut out, there are two", cut)
	}
	eventually(t, "A's mounts are cut off", func() bool { return own.writes() != nil && own.reads() != nil && reader.reads() != nil })
	for _, r := range []reading{other, shared} {
		must(t, r.reads())
	}
	must(t, other.writes())
	for _, c := range []volume.Credentials{keys.Reader, *keys.Writer, stolen} {
		if !s.refused(c) {
			t.Errorf("%s of the revoked tenant still gets in", c.User)
		}
	}
	_, err = s.registrar().Create(ctx, s.place(s.a))
	must(t, err)
	if fresh := s.writer(mine); fresh.Key == stolen.Key || !s.refused(stolen) {
		t.Error("the stolen key of the volume is in force again")
	}
	again := s.showVolume(mine)
	must(t, again.writes())
}

// readmitFilesLater is readmitLater for the users of volumes too.
func (s *filesScene) readmitFilesLater(name string) {
	s.t.Helper()
	clients, err := s.cluster.Connected(s.t.Context(), s.place(s.a))
	must(s.t, err)
	for u, addresses := range clients {
		if u.Tenant != name || u.Golden != (volume.GoldenRef{}) {
			continue
		}
		for _, address := range addresses {
			s.t.Cleanup(func() { s.ceph.Admin("osd", "blocklist", "rm", address) })
		}
	}
}

// TestFilesRotation replaces the key of a volume that is mounted: the mount
// goes on, and the old user goes when it has ended.
func TestFilesRotation(t *testing.T) {
	s := newFilesScene(t)
	r, at := s.registrar(), s.place(s.a)
	id := s.volume(s.a, "own", volume.GoldenRef{})
	s.write(id, "model", "mine")
	running, old := s.showVolume(id), s.writer(id)
	_, err := r.Rotate(t.Context(), at)
	must(t, err)
	fresh := s.writer(id)
	if fresh.User == old.User || fresh.Key == old.Key {
		t.Fatalf("the volume's user is still %s", fresh.User)
	}
	inUse, err := r.Finish(t.Context(), at)
	must(t, err)
	if !slices.ContainsFunc(inUse, func(u tenant.User) bool { return u.String() == old.User }) {
		t.Errorf("in use are %v, want %s among them", inUse, old.User)
	}
	must(t, running.writes())
	again := s.showVolume(id)
	must(t, again.writes())
	running.end()
	eventually(t, "the old user goes with its mount", func() bool {
		inUse, err := r.Finish(t.Context(), at)
		must(t, err)
		return len(inUse) == 0 && s.refused(old)
	})
	must(t, again.writes())
	must(t, s.provisioner.Delete(t.Context(), at, id))
	eventually(t, "the volume's users go with it", func() bool { return s.refused(fresh) })
}

// TestFilesWithdrawnGrant lets a volume on a withdrawn golden go on until it is
// deleted, and gives the golden another key.
func TestFilesWithdrawnGrant(t *testing.T) {
	s := newFilesScene(t)
	v1 := s.seed(s.public, granted)
	id := s.volume(s.a, "of granted", v1)
	before := s.keys(s.a)
	s.under()
	if rotated := s.sync(); !slices.Equal(rotated, []volume.GoldenRef{v1}) {
		t.Errorf("goldens with a new key: %v, want %s", rotated, v1)
	}
	if got := s.keys(s.a); len(got.Goldens) != 0 {
		t.Errorf("A still gets the keys of %d goldens", len(got.Goldens))
	}
	s.showGolden(before.Reader, v1)
	standing, err := s.registrar().Standing(t.Context(), s.place(s.a))
	must(t, err)
	if !slices.Equal(standing.Withdrawn[v1], []string{"fs.vol." + id.Hash}) {
		t.Errorf("tenant show lists %v on the withdrawn golden, want %s", standing.Withdrawn[v1], id)
	}
	must(t, s.provisioner.Delete(t.Context(), s.place(s.a), id))
	s.sync()
	k := fileThief{s, &client{conn: s.session(s.keys(s.a).Reader)}}
	defer k.close()
	tr := s.golden("", v1)
	for what, err := range map[string]error{"objects": k.listData(tr), "files": k.mountSubvolume(tr)} {
		if !isRefusal(err) {
			t.Errorf("A reads the withdrawn golden's %s without a volume of it: %v", what, err)
		}
	}
	s.showGolden(s.keys(s.public).Goldens[v1], v1)
	eventually(t, "the golden's old key is gone", func() bool {
		inUse, err := s.registrar().Finish(t.Context(), s.place(s.public))
		must(t, err)
		return len(inUse) == 0 && s.refused(before.Goldens[v1])
	})
}

// TestFilesDeletionRefusesData deletes a tenant once its volumes are gone.
func TestFilesDeletionRefusesData(t *testing.T) {
	s := newFilesScene(t)
	r, at := s.registrar(), s.place(s.a)
	id := s.volume(s.a, "own", volume.GoldenRef{})
	if err := r.Delete(t.Context(), at); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("Delete with a volume: %v, want volume.ErrInUse", err)
	}
	stolen, keys := s.writer(id), s.keys(s.a)
	must(t, s.provisioner.Delete(t.Context(), at, id))
	s.patiently(func() error { return r.Delete(t.Context(), at) })
	s.patiently(func() error { return r.Delete(t.Context(), at) })
	for _, c := range []volume.Credentials{keys.Reader, *keys.Writer, stolen} {
		if !s.refused(c) {
			t.Errorf("%s of the deleted tenant still gets in", c.User)
		}
	}
	admin := fileThief{s, &client{conn: s.session(volume.Credentials{User: "admin", Key: volume.Secret(s.ceph.AdminKey())})}}
	defer admin.close()
	if err := admin.mounts("/volumes/" + s.a); err == nil {
		t.Error("the tenant's directory is still there")
	}
	if err := admin.list(at.Pool(), s.a+".keys"); err == nil {
		t.Error("keys of the tenant are left")
	}
}
