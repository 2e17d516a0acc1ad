package tenants

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	libcephfs "github.com/ceph/go-ceph/cephfs"
	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// The file system and its pools that every Ceph of hack/ceph has.
const (
	theFiles    = "cephfs"
	theData     = "cephfs.data"
	theMetadata = "cephfs.meta"
)

// filesScene is a scene whose volumes and goldens are in CephFS.
type filesScene struct {
	*scene
	files       ceph.FileSystem
	shelf       *golden.Library
	provisioner *cephfs.Provisioner
}

func newFilesScene(t *testing.T) *filesScene {
	t.Helper()
	t.Parallel()
	real := realceph.New(t)
	row := strings.Replace(real.Cluster("test", real.Pool()), "{", "{fileSystem: "+theFiles+", ", 1)
	s := &filesScene{scene: newSceneIn(t, real, row)}
	s.files = ceph.NewFileSystem(s.cluster)
	s.shelf = golden.NewLibrary(s.files, golden.Options{})
	s.provisioner = cephfs.NewProvisioner(s.files, s.shelf, cephfs.Options{CreateWait: 2 * time.Minute})
	t.Cleanup(s.provisioner.Close)
	t.Cleanup(s.removeGroups)
	return s
}

// removeGroups removes what the test left in the file system, which is not its
// own as the pool is.
func (s *filesScene) removeGroups() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, name := range []string{s.a, s.b, s.public} {
		at := s.place(name)
		all, err := s.files.ListSubvolumes(ctx, at)
		if err != nil {
			s.t.Error(err)
		}
		for _, subvolume := range all {
			for _, snapshot := range s.snapshots(name, subvolume) {
				s.admin("fs", "subvolume", "snapshot", "rm", theFiles, name+"."+subvolume, snapshot, name, "--force")
			}
			s.admin("fs", "subvolume", "rm", theFiles, name+"."+subvolume, name, "--force")
		}
		s.admin("fs", "subvolumegroup", "rm", theFiles, name, "--force")
	}
}

func (s *filesScene) snapshots(tenant, subvolume string) (names []string) {
	for _, field := range strings.Split(s.admin("fs", "subvolume", "snapshot", "ls", theFiles, tenant+"."+subvolume, tenant), "\"") {
		if field == volume.SealedSnapshot || strings.HasPrefix(field, "snap.") || strings.HasPrefix(field, "copy.") {
			names = append(names, field)
		}
	}
	return names
}

// admin is Ceph's program, whose failure is no failure of the test.
func (s *filesScene) admin(args ...string) string {
	out, _ := exec.Command("ceph", append([]string{"-c", s.ceph.Conf()}, args...)...).Output()
	return string(out)
}

// seed imports a golden with content of its own.
func (s *filesScene) seed(owner, ref string) volume.GoldenRef {
	s.t.Helper()
	parsed, err := volume.ParseGoldenRef(ref)
	must(s.t, err)
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(filepath.Join(dir, "model"), bytes.Repeat([]byte(ref+"\n"), 1<<10), 0o600))
	s.patiently(func() error {
		_, err := s.shelf.ImportFiles(s.t.Context(), s.files, s.place(owner), parsed, golden.Import{Source: image.Source{Path: dir}})
		return err
	})
	s.sync()
	parsed.Tenant = owner
	return parsed
}

// volume makes a volume of a tenant by the controller's means: a blank one, or
// a read-only one from a golden.
func (s *filesScene) volume(owner, name string, source volume.GoldenRef) volume.ID {
	s.t.Helper()
	at := s.place(owner)
	spec := volume.Spec{Name: name, Size: volume.Size{Required: 8 << 20}}
	var from tenant.Place
	if source != (volume.GoldenRef{}) {
		spec.ReadOnly, spec.Source = true, volume.Source{Golden: source}
		from = s.place(source.Tenant)
	}
	id := at.VolumeID(volume.CephFS, name)
	s.patiently(func() error { _, err := s.provisioner.Create(s.t.Context(), at, from, id, spec); return err })
	return id
}

// subvolumeOf is where a writable volume's content is: its subvolume, without
// the tenant, and the directory.
func (s *filesScene) subvolumeOf(id volume.ID) (name, directory string) {
	s.t.Helper()
	at := s.place(id.Tenant)
	all, err := s.files.ListSubvolumes(s.t.Context(), at)
	must(s.t, err)
	for _, name := range all {
		if strings.HasPrefix(name, "vol."+id.Hash+".") {
			directory, err = s.files.ImageID(s.t.Context(), at, name)
			must(s.t, err)
			return name, directory
		}
	}
	s.t.Fatalf("volume %s has no subvolume among %q", id, all)
	return "", ""
}

// writer is the user of a writable volume, found as a node finds it.
func (s *filesScene) writer(id volume.ID) volume.Credentials {
	s.t.Helper()
	name, _ := s.subvolumeOf(id)
	reader := ceph.NewReader(ceph.Options{})
	defer reader.Close()
	c, err := reader.Writer(s.t.Context(), s.place(id.Tenant), *s.keys(id.Tenant).Writer, name)
	must(s.t, err)
	return c
}

// write gives a writable volume a file of a tenant's, as a node with the
// volume's key does.
func (s *filesScene) write(id volume.ID, name, content string) {
	s.t.Helper()
	sub, directory := s.subvolumeOf(id)
	conn, err := s.connect(s.writer(id))
	must(s.t, err)
	defer conn.Shutdown()
	c := &client{conn: conn}
	defer c.close()
	m, err := c.mount(path.Join(cephfs.Root(id.Tenant, sub), directory))
	must(s.t, err)
	f, err := m.Open("/"+name, syscall.O_CREAT|syscall.O_WRONLY, 0o644)
	must(s.t, err)
	_, err = f.Write([]byte(content))
	must(s.t, err)
	must(s.t, f.Fsync(libcephfs.SyncAll))
	must(s.t, f.Close())
}

// client mounts directories of the file system as one user, each once.
type client struct {
	conn   *rados.Conn
	mounts map[string]mounted
}

type mounted struct {
	mount *libcephfs.MountInfo
	err   error
}

// mount mounts a directory. Permissions are left to the servers: a thief's
// client would not check any.
func (c *client) mount(root string) (*libcephfs.MountInfo, error) {
	if m, ok := c.mounts[root]; ok {
		return m.mount, m.err
	}
	m, err := libcephfs.CreateFromRados(c.conn)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return m.SetConfigOption("client_permissions", "false") },
		func() error { return m.SelectFilesystem(theFiles) },
		func() error { return m.MountWithRoot(root) },
	} {
		if err = step(); err != nil {
			err = fmt.Errorf("mount %s: %w", root, err)
			break
		}
	}
	if c.mounts == nil {
		c.mounts = map[string]mounted{}
	}
	c.mounts[root] = mounted{m, err}
	return m, err
}

// close unmounts everything. What cannot be unmounted goes with the process.
func (c *client) close() {
	for _, m := range c.mounts {
		if m.err == nil {
			_ = m.mount.Unmount()
		}
		_ = m.mount.Release()
	}
	c.mounts = nil
}
