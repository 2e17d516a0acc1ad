package cephfs_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// scene is two tenants with groups of their own in a real file system.
type scene struct {
	t            *testing.T
	ceph         *realceph.Ceph
	files        ceph.FileSystem
	library      *golden.Library
	provisioner  *cephfs.Provisioner
	acme, public tenant.Place
}

func newScene(t *testing.T) *scene {
	c := realceph.New(t)
	acme, public := "a"+strings.ToLower(rand.Text()[:8]), "p"+strings.ToLower(rand.Text()[:8])
	row := strings.Replace(c.Cluster("test", c.Pool(acme, public)), "{", "{fileSystem: cephfs, ", 1)
	policy, err := tenant.Parse([]byte(fmt.Sprintf("clusters: [%s]\ntenants: [{name: %s, namespaces: [%s], goldens: [\"%s/*\"]}, {name: %s, namespaces: [%s]}]\n",
		row, acme, acme, public, public, public)))
	if err != nil {
		t.Fatal(err)
	}
	cluster := ceph.NewCluster(ceph.Options{})
	t.Cleanup(cluster.Close)
	s := &scene{t: t, ceph: c, files: ceph.NewFileSystem(cluster)}
	s.library = golden.NewLibrary(s.files, golden.Options{})
	s.provisioner = cephfs.NewProvisioner(s.files, s.library, cephfs.Options{CreateWait: 4 * time.Minute})
	t.Cleanup(s.provisioner.Close)
	s.acme, err = policy.Default(acme, "test")
	s.must(err)
	s.public, err = policy.Default(public, "test")
	s.must(err)
	t.Cleanup(s.clean)
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) refused(what string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Fatalf("%s: %v, not %v", what, err, want)
	}
}

// clean removes what a test that failed left, and the groups.
func (s *scene) clean() {
	ctx := context.Background()
	for _, at := range []tenant.Place{s.acme, s.public} {
		names, err := s.files.ListSubvolumes(ctx, at)
		if err != nil {
			continue // no group
		}
		for _, name := range names {
			s.t.Logf("left over: %s", name)
			_ = s.files.RemoveWriter(ctx, at, name)
			_ = exec.Command("ceph", "-c", s.ceph.Conf(), "fs", "subvolume", "rm", "cephfs", at.Tenant()+"."+name, "--group_name", at.Tenant(), "--force").Run()
		}
		_ = exec.Command("ceph", "-c", s.ceph.Conf(), "fs", "subvolumegroup", "rm", "cephfs", at.Tenant(), "--force").Run()
	}
}

func (s *scene) id(name string) volume.ID { return s.acme.VolumeID(volume.CephFS, name) }

func (s *scene) create(spec volume.Spec) error {
	_, err := s.provisioner.Create(context.Background(), s.acme, s.public, s.id(spec.Name), spec)
	return err
}

// seed imports a golden of two files and a link.
func (s *scene) seed() volume.GoldenRef {
	s.t.Helper()
	dir := s.t.TempDir()
	s.must(os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	s.must(os.WriteFile(filepath.Join(dir, "model"), []byte(strings.Repeat("weights ", 1<<16)), 0o644))
	s.must(os.WriteFile(filepath.Join(dir, "sub", "labels"), []byte("cat\ndog\n"), 0o644))
	s.must(os.Symlink("sub/labels", filepath.Join(dir, "link")))
	ref := volume.GoldenRef{Tenant: s.public.Tenant(), Name: "m", Version: "v1"}
	in := golden.Import{Source: image.Source{Path: dir}, Note: "a test"}
	first, err := s.library.ImportFiles(s.t.Context(), s.files, s.public, ref, in)
	s.must(err)
	again, err := s.library.ImportFiles(s.t.Context(), s.files, s.public, ref, in)
	s.must(err)
	if first.Digest == "" || first.Digest != again.Digest {
		s.t.Fatalf("digests %q and %q of the same content", first.Digest, again.Digest)
	}
	s.must(os.WriteFile(filepath.Join(dir, "model"), []byte("other"), 0o644))
	_, err = s.library.ImportFiles(s.t.Context(), s.files, s.public, ref, in)
	s.refused("import of other content", err, volume.ErrConflict)
	return ref
}

// TestRealReadOnly lets read-only volumes share a golden, which stays as long
// as one of them does.
func TestRealReadOnly(t *testing.T) {
	s := newScene(t)
	ctx, ref := t.Context(), s.seed()
	s.must(s.create(volume.Spec{Name: "a", ReadOnly: true, Source: volume.Source{Golden: ref}}))
	s.must(s.create(volume.Spec{Name: "b", ReadOnly: true, Source: volume.Source{Volume: s.id("a")}}))
	s.refused("delete a golden in use", s.library.Delete(ctx, s.public, ref), volume.ErrInUse)
	s.must(s.provisioner.Delete(ctx, s.acme, s.id("a")))
	s.refused("delete a golden in use", s.library.Delete(ctx, s.public, ref), volume.ErrInUse)
	s.must(s.provisioner.Delete(ctx, s.acme, s.id("b")))
	s.must(s.library.Delete(ctx, s.public, ref))
	s.refused("use a deleted golden", s.create(volume.Spec{Name: "c", ReadOnly: true, Source: volume.Source{Golden: ref}}), volume.ErrNotFound)
	s.empty()
}

// empty says that no subvolume, record or user is left of the tenants.
func (s *scene) empty() {
	s.t.Helper()
	for _, at := range []tenant.Place{s.acme, s.public} {
		names, err := s.files.ListSubvolumes(context.Background(), at)
		s.must(err)
		for _, prefix := range []string{"vol.", "snap.", "del."} {
			more, err := s.files.ListRecords(context.Background(), at, prefix, "", 10)
			s.must(err)
			names = append(names, more...)
		}
		if len(names) > 0 {
			s.t.Fatalf("left in %s: %q", at, names)
		}
		if strings.Contains(s.ceph.Admin("auth", "ls"), "sdpfs."+at.Tenant()) {
			s.t.Fatalf("users of %s are left", at)
		}
	}
}

// TestRealSnapshots takes a writable volume through its life: expanded,
// snapshotted, shown, copied and deleted before its snapshot.
func TestRealSnapshots(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	p := s.provisioner
	snap := s.acme.SnapshotID(volume.CephFS, "s")
	s.must(s.create(volume.Spec{Name: "v"}))
	v, err := p.Expand(ctx, s.acme, s.id("v"), volume.Size{Required: 3 << 30})
	s.must(err)
	if v.Capacity != 3<<30 {
		t.Fatalf("expanded to %d bytes", v.Capacity)
	}
	_, err = p.CreateSnapshot(ctx, s.acme, snap, "s", s.id("v"))
	s.must(err)
	s.must(s.create(volume.Spec{Name: "shown", ReadOnly: true, Source: volume.Source{Snapshot: snap}}))
	s.must(s.create(volume.Spec{Name: "copied", Source: volume.Source{Volume: s.id("v")}}))
	s.must(p.Delete(ctx, s.acme, s.id("v")))
	s.refused("delete a snapshot in use", p.DeleteSnapshot(ctx, s.acme, snap), volume.ErrInUse)
	s.must(p.Delete(ctx, s.acme, s.id("shown")))
	s.must(p.DeleteSnapshot(ctx, s.acme, snap))
	s.must(p.Delete(ctx, s.acme, s.id("copied")))
	s.must(p.Sweep(ctx, s.acme))
	// The public tenant has no group: what is listed of it is nothing.
	s.empty()
}

// mount mounts a directory of the file system as a user with ceph-fuse.
func (s *scene) mount(c volume.Credentials, root string) (string, error) {
	s.t.Helper()
	dir, keyring := s.t.TempDir(), filepath.Join(s.t.TempDir(), "keyring")
	s.must(os.WriteFile(keyring, []byte("[client."+c.User+"]\nkey = "+c.Key.Reveal()+"\n"), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ceph-fuse", "-c", "/dev/null", "--mon-host=[v2:"+s.ceph.Monitors()[0]+"]", "--client_fs=cephfs",
		"--id", c.User, "--keyring", keyring, "--client_mountpoint="+root, "--log-file=", "--admin-socket=", "--client_mount_timeout=30", dir).CombinedOutput()
	if err == nil {
		s.t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
		return dir, nil
	}
	return dir, fmt.Errorf("%w: %s", err, out)
}

// TestRealStolenWriter copies a golden into a writable volume and then does
// with the keys of it and of its tenant what a thief would.
func TestRealStolenWriter(t *testing.T) {
	s := newScene(t)
	ctx, ref := t.Context(), s.seed()
	s.must(s.create(volume.Spec{Name: "w", Source: volume.Source{Golden: ref}}))
	names, err := s.files.ListSubvolumes(ctx, s.acme)
	s.must(err)
	user := func(role tenant.Role) volume.Credentials {
		u := tenant.User{Tenant: s.acme.Tenant(), Role: role, Generation: 1}
		s.must(s.files.Put(ctx, u, tenant.Access{At: s.acme, Role: role}))
		t.Cleanup(func() { s.ceph.Admin("auth", "rm", "client."+u.String()) })
		key, err := s.files.Key(ctx, s.acme, u)
		s.must(err)
		return key
	}
	reader := ceph.NewReader(ceph.Options{})
	t.Cleanup(reader.Close)
	_, err = reader.Writer(ctx, s.acme, user(tenant.Reader), names[0])
	s.refused("a reader asks for a writing key", err, volume.ErrDenied)
	tenantKey := user(tenant.Writer)
	stolen, err := reader.Writer(ctx, s.acme, tenantKey, names[0])
	s.must(err)
	directory, err := s.files.ImageID(ctx, s.acme, names[0])
	s.must(err)
	root := cephfs.Root(s.acme.Tenant(), names[0])
	dir, err := s.mount(stolen, root+"/"+directory)
	s.must(err)
	if got, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || string(got) != "cat\ndog\n" {
		t.Fatalf("the copy has %q, %v", got, err)
	}
	s.must(os.WriteFile(filepath.Join(dir, "mine"), []byte("x"), 0o644))
	if err := os.Mkdir(filepath.Join(dir, ".snap", "mine"), 0o755); err == nil {
		t.Error("a volume's key takes snapshots")
	}
	s.cannotWriteAbove(stolen, tenantKey, root)
	_ = exec.Command("umount", dir).Run()
	s.must(s.provisioner.Delete(ctx, s.acme, s.id("w")))
	s.must(s.library.Delete(ctx, s.public, ref))
	s.empty()
}

// cannotWriteAbove tries the directories above the content, where the manager
// would follow a symbolic link, and other subvolumes' objects.
func (s *scene) cannotWriteAbove(stolen, tenantKey volume.Credentials, root string) {
	s.t.Helper()
	for _, above := range []string{root, filepath.Dir(root), "/"} {
		for _, c := range []volume.Credentials{stolen, tenantKey} {
			dir, err := s.mount(c, above)
			if err != nil {
				continue
			}
			if err := os.Symlink("/volumes/"+s.public.Tenant(), filepath.Join(dir, "planted")); err == nil {
				s.t.Errorf("%s writes in %s", c.User, above)
			}
		}
	}
	for _, c := range []volume.Credentials{stolen, tenantKey} {
		keyring := filepath.Join(s.t.TempDir(), "k")
		s.must(os.WriteFile(keyring, []byte("[client."+c.User+"]\nkey = "+c.Key.Reveal()+"\n"), 0o600))
		out, err := exec.Command("rados", "-c", "/dev/null", "-m", "[v2:"+s.ceph.Monitors()[0]+"]", "--id", c.User, "--keyring", keyring,
			"-p", "cephfs.data", "--namespace", "fsvolumens_"+s.public.Tenant()+".golden.m.v1", "ls").CombinedOutput()
		if err == nil {
			s.t.Errorf("%s lists another tenant's objects: %s", c.User, out)
		}
	}
}
