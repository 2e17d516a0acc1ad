package cephfs_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// mountVolume mounts a writable volume as the tenant's writing nodes do.
func (s *scene) mountVolume(key volume.Credentials, subvolume string) string {
	s.t.Helper()
	reader := ceph.NewReader(ceph.Options{})
	s.t.Cleanup(reader.Close)
	writer, err := reader.Writer(s.t.Context(), s.acme, key, subvolume)
	s.must(err)
	directory, err := s.files.ImageID(s.t.Context(), s.acme, subvolume)
	s.must(err)
	dir, err := s.mount(writer, cephfs.Root(s.acme.Tenant(), subvolume)+"/"+directory)
	s.must(err)
	return dir
}

// writerKey makes the tenant's writing user.
func (s *scene) writerKey() volume.Credentials {
	s.t.Helper()
	u := tenant.User{Tenant: s.acme.Tenant(), Role: tenant.Writer, Generation: 1}
	s.must(s.files.Put(s.t.Context(), u, tenant.Access{At: s.acme, Role: tenant.Writer}))
	s.t.Cleanup(func() { s.ceph.Admin("auth", "rm", "client."+u.String()) })
	key, err := s.files.Key(s.t.Context(), s.acme, u)
	s.must(err)
	return key
}

// TestRealCopy copies a volume and looks at all that a copy keeps.
func TestRealCopy(t *testing.T) {
	s := newScene(t)
	key := s.writerKey()
	s.must(s.create(volume.Spec{Name: "v"}))
	names, err := s.files.ListSubvolumes(t.Context(), s.acme)
	s.must(err)
	from := s.mountVolume(key, names[0])
	s.populate(from)
	s.must(syscall.Unmount(from, 0))
	s.must(s.create(volume.Spec{Name: "c", Source: volume.Source{Volume: s.id("v")}}))
	s.must(s.provisioner.Delete(t.Context(), s.acme, s.id("v")))
	names, err = s.files.ListSubvolumes(t.Context(), s.acme)
	s.must(err)
	to := s.mountVolume(key, names[0])
	s.compare(to)
	s.must(syscall.Unmount(to, 0))
	s.must(s.provisioner.Delete(t.Context(), s.acme, s.id("c")))
	s.empty()
}

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// populate makes files of every kind that a copy keeps.
func (s *scene) populate(dir string) {
	s.t.Helper()
	sub, model := filepath.Join(dir, "sub"), filepath.Join(dir, "sub", "model")
	s.must(os.Mkdir(sub, 0o750))
	s.must(os.WriteFile(model, []byte("weights"), 0o640))
	s.must(os.Link(model, filepath.Join(dir, "again")))
	s.must(os.Symlink("sub/model", filepath.Join(dir, "link")))
	s.must(unix.Setxattr(model, "user.origin", []byte("lab"), 0))
	s.must(unix.Setxattr(sub, "user.kind", []byte("dir"), 0))
	s.must(os.Chown(model, 1000, 2000))
	s.must(os.Chtimes(model, longAgo, longAgo))
	s.must(os.Chtimes(sub, longAgo, longAgo))
}

func (s *scene) compare(dir string) {
	s.t.Helper()
	sub, model := filepath.Join(dir, "sub"), filepath.Join(dir, "sub", "model")
	if got, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || string(got) != "weights" {
		s.t.Errorf("the link shows %q, %v", got, err)
	}
	var one, other, parent unix.Stat_t
	s.must(unix.Stat(model, &one))
	s.must(unix.Stat(filepath.Join(dir, "again"), &other))
	s.must(unix.Stat(sub, &parent))
	if one.Ino != other.Ino || one.Nlink != 2 {
		s.t.Errorf("the file's names have inodes %d and %d, %d links", one.Ino, other.Ino, one.Nlink)
	}
	if one.Uid != 1000 || one.Gid != 2000 || one.Mode&0o777 != 0o640 || parent.Mode&0o777 != 0o750 {
		s.t.Errorf("owner %d:%d, permissions %o and %o", one.Uid, one.Gid, one.Mode, parent.Mode)
	}
	for what, at := range map[string]unix.Timespec{"file": one.Mtim, "directory": parent.Mtim} {
		if at.Sec != longAgo.Unix() {
			s.t.Errorf("the %s is of %s", what, time.Unix(at.Sec, at.Nsec))
		}
	}
	for path, want := range map[string][2]string{model: {"user.origin", "lab"}, sub: {"user.kind", "dir"}} {
		value := make([]byte, 16)
		if n, err := unix.Getxattr(path, want[0], value); err != nil || string(value[:n]) != want[1] {
			s.t.Errorf("%s of %s is %q, %v", want[0], path, value[:max(n, 0)], err)
		}
	}
}
