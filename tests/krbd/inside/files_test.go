//go:build krbd

package inside

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/kernel"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// files is this machine as a node that mounts the file system by its kernel.
type files struct {
	*node
	of      scene.Files
	mounter *kernel.Mounter
}

func newFiles(t *testing.T) *files {
	t.Helper()
	n := newNode(t)
	f := &files{node: n, of: n.scene.CephFS, mounter: kernel.New(n.host)}
	t.Cleanup(func() {
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), " ceph ") {
			t.Errorf("mounts of the file system are left: %v\n%s", err, mounts)
		}
	})
	return f
}

// fresh is the stager of a driver that has just started.
func (f *files) fresh() *cephfs.Stager {
	return cephfs.NewStager(handedFiles{f.of}, f.mounter, f.host, unmeasured{})
}

// handedFiles is a cephfs.Reader of what came with the scene. What a mount with
// a key does is the kernel's to say.
type handedFiles struct{ of scene.Files }

func (h handedFiles) Read(_ context.Context, _ tenant.Place, _ volume.Credentials, name string) (cephfs.Reading, error) {
	data, ok := h.of.Records[name]
	if !ok {
		return cephfs.Reading{}, volume.ErrNotFound
	}
	return cephfs.Reading{Data: data, FSID: h.of.FSID}, nil
}

func (h handedFiles) Writer(_ context.Context, _ tenant.Place, _ volume.Credentials, subvolume string) (volume.Credentials, error) {
	u, ok := h.of.Writers[subvolume]
	if !ok {
		return volume.Credentials{}, volume.ErrNotFound
	}
	return volume.Credentials{User: u.Name, Key: volume.Secret(u.Key)}, nil
}

func (h handedFiles) Prove(context.Context, tenant.Place, volume.Credentials, cephfs.Snapshot, string) error {
	return nil
}

func (h handedFiles) Lease(context.Context, tenant.Place, volume.Credentials, cephfs.Snapshot, string, time.Time) error {
	return nil
}

func (f *files) key(role string) volume.Credentials {
	u := f.of.Users[role]
	return volume.Credentials{User: u.Name, Key: volume.Secret(u.Key)}
}

func (f *files) volume(role string) (volume.ID, tenant.Place) {
	f.t.Helper()
	id, err := volume.ParseID(f.of.Volumes[role])
	if err != nil {
		f.t.Fatal(err)
	}
	return id, f.place(id)
}

// stageFiles stages a volume of the file system at a path.
func (f *files) stageFiles(role, path string, readOnly bool, golden string) error {
	f.t.Helper()
	id, at := f.volume(role)
	ref, err := volume.ParseGoldenRef(f.of.Golden)
	if err != nil {
		f.t.Fatal(err)
	}
	st := volume.Stage{ID: id, Path: path, ReadOnly: readOnly, Credentials: f.key(scene.Writer)}
	if readOnly {
		st.Credentials = f.key(scene.Reader)
		st.Goldens = map[volume.GoldenRef]volume.Credentials{ref: f.key(golden)}
	}
	return f.fresh().Stage(f.t.Context(), at, st)
}

func (f *files) unstageFiles(role, path string) {
	f.t.Helper()
	id, at := f.volume(role)
	for range 2 {
		if err := f.fresh().Unstage(f.t.Context(), at, id, path); err != nil {
			f.t.Fatal(err)
		}
	}
}

// cephMounts are the kernel's mounts of the file system.
func (f *files) cephMounts() (n int) {
	f.t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Count(string(text), " - ceph ")
}

func (f *files) hasFiles(path string) {
	f.t.Helper()
	for name, want := range f.scene.Files {
		if got, err := digest(filepath.Join(path, name)); err != nil || got != want {
			f.t.Errorf("%s in %s has %s, %v", name, path, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "x"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		f.t.Errorf("%s is written: %v", path, err)
	}
	if _, err := os.Stat(filepath.Join(path, ".snap")); !errors.Is(err, os.ErrNotExist) {
		f.t.Errorf("%s shows more than the snapshot: %v", path, err)
	}
}

// TestFiles shows two volumes of a golden by one mount of the kernel's client,
// a third by one of its own, and writes a fourth.
func TestFiles(t *testing.T) {
	f := newFiles(t)
	run := func(name string, fn func(*files)) {
		f.check(name, func(n *node) { fn(&files{node: n, of: f.of, mounter: f.mounter}) })
	}
	a, b, own, w, r := staging("fs-a"), staging("fs-b"), staging("fs-own"), staging("fs-w"), staging("fs-r")
	run("the kernel has the client", func(f *files) {
		if err := f.mounter.Available(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	})
	run("refuse a wrong key", func(f *files) {
		f.wants(f.stageFiles(scene.SharedA, a, true, scene.Stranger), volume.ErrUnavailable)
		if f.cephMounts() != 0 {
			f.t.Error("a mount is left")
		}
	})
	run("share one mount", func(f *files) {
		f.wants(f.stageFiles(scene.SharedA, a, true, scene.GoldenReader), nil)
		f.wants(f.stageFiles(scene.SharedB, b, true, scene.GoldenReader), nil)
		f.wants(f.stageFiles(scene.SharedB, b, true, scene.GoldenReader), nil)
		if n := f.cephMounts(); n != 1 {
			f.t.Fatalf("%d mounts", n)
		}
		f.hasFiles(a)
		f.hasFiles(b)
	})
	run("a mount of its own", func(f *files) {
		f.wants(f.stageFiles(scene.Own, own, true, scene.GoldenReader), nil)
		if n := f.cephMounts(); n != 2 {
			f.t.Fatalf("%d mounts", n)
		}
		f.hasFiles(own)
	})
	run("write and read", func(f *files) { f.writesAndReads(w, r) })
	run("show no key", func(f *files) { f.keepsFileKeys() })
	run("unstage", func(f *files) {
		f.unstageFiles(scene.SharedA, a)
		f.hasFiles(b)
		f.unstageFiles(scene.SharedB, b)
		f.unstageFiles(scene.Own, own)
		f.unstageFiles(scene.Written, w)
		f.unstageFiles(scene.Written, r)
		if n := f.cephMounts(); n != 0 {
			f.t.Errorf("%d mounts are left", n)
		}
	})
}

// writesAndReads stages a volume at two paths, as its writer and as a reader.
func (f *files) writesAndReads(w, r string) {
	f.t.Helper()
	for range 2 {
		f.wants(f.stageFiles(scene.Written, w, false, ""), nil)
		f.wants(f.stageFiles(scene.Written, r, true, ""), nil)
	}
	if err := os.WriteFile(filepath.Join(w, "f"), []byte("hello"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(r, "f")); err != nil || string(got) != "hello" {
		f.t.Fatalf("the reader has %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(r, "g"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		f.t.Errorf("the reader writes: %v", err)
	}
	id, at := f.volume(scene.Written)
	other, _ := f.volume(scene.Own)
	for _, path := range []string{"", w, r} {
		f.wants(f.fresh().Shown(f.t.Context(), at, id, path), nil)
	}
	f.wants(f.fresh().Shown(f.t.Context(), at, other, w), volume.ErrNotFound)
	if u, err := f.host.Usage(f.t.Context(), w); err != nil || u.Total != volume.DefaultSize {
		f.t.Errorf("usage %+v, %v", u, err)
	}
}

// keepsFileKeys demands that the mount table tells no key.
func (f *files) keepsFileKeys() {
	f.t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, users := range []map[string]scene.User{f.of.Users, f.of.Writers} {
		for _, u := range users {
			if strings.Contains(string(text), u.Key) {
				f.t.Errorf("the mount table tells the key of %s", u.Name)
			}
		}
	}
}
