package cephfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// node is a node of a scene, with ceph-fuse and the keys of the tenant acme.
type node struct {
	*scene
	host   *mount.Host
	reader *ceph.Reader
	dir    string // of the driver's state, and of the staging paths
	ro, rw volume.Credentials
	golden map[volume.GoldenRef]volume.Credentials
}

type noSteps struct{}

func (noSteps) Step(string) func() { return func() {} }

func newNode(t *testing.T) *node {
	s := newScene(t)
	dir, err := os.MkdirTemp("/tmp", "cephfs-node-")
	s.must(err)
	n := &node{scene: s, host: mount.NewHost(), reader: ceph.NewReader(ceph.Options{}), dir: dir, golden: map[volume.GoldenRef]volume.Credentials{}}
	t.Cleanup(n.reader.Close)
	t.Cleanup(n.tidy)
	n.ro = n.user(tenant.User{Tenant: s.acme.Tenant(), Role: tenant.Reader, Generation: 1}, tenant.Access{At: s.acme, Role: tenant.Reader})
	n.rw = n.user(tenant.User{Tenant: s.acme.Tenant(), Role: tenant.Writer, Generation: 1}, tenant.Access{At: s.acme, Role: tenant.Writer})
	return n
}

// user makes a cephx user for the time of the test.
func (n *node) user(u tenant.User, a tenant.Access) volume.Credentials {
	n.t.Helper()
	n.must(n.files.Put(n.t.Context(), u, a))
	n.t.Cleanup(func() { n.ceph.Admin("auth", "rm", "client."+u.String()) })
	c, err := n.files.Key(n.t.Context(), a.At, u)
	n.must(err)
	return c
}

// grant makes the golden's reader and hands its key to the node.
func (n *node) grant(ref volume.GoldenRef) {
	n.t.Helper()
	g, err := n.library.Resolve(n.t.Context(), n.public, ref)
	n.must(err)
	shared := tenant.SharedImage{Place: n.public, Backend: volume.CephFS, Name: ref.Image(), ImageID: g.ImageID}
	u := tenant.User{Tenant: ref.Tenant, Golden: volume.GoldenRef{Name: ref.Name, Version: ref.Version}, Generation: 1}
	n.golden[ref] = n.user(u, tenant.Access{At: n.public, Goldens: []tenant.SharedImage{shared}})
}

// fresh is the stager of a driver that has just started.
func (n *node) fresh() *cephfs.Stager { return newStager(n.reader, n.host, n.state()) }

func (n *node) state() string { return filepath.Join(n.dir, "state") }

// policy is what a node knows of the cluster: no key.
func (n *node) policy() string {
	at := n.acme.Cluster()
	return fmt.Sprintf("clusters: [{id: test, monitors: [%q], pool: %s, fileSystem: cephfs}]\ntenants: [{name: %s, namespaces: [%s]}]\n",
		at.Monitors[0], n.acme.Pool(), n.acme.Tenant(), n.acme.Tenant())
}

// patience bounds one call of a busy machine.
func patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Minute)
}

func (n *node) path(name string) string { return filepath.Join(n.dir, "staging", name) }

func (n *node) stage(name string, readOnly bool) error { return n.stageBy(n.fresh(), name, readOnly) }

func (n *node) stageBy(s *cephfs.Stager, name string, readOnly bool) error {
	return s.Stage(n.t.Context(), n.acme, n.stageOf(name, readOnly))
}

func (n *node) stageOf(name string, readOnly bool) volume.Stage {
	c := n.rw
	if readOnly {
		c = n.ro
	}
	return volume.Stage{ID: n.id(name), Path: n.path(name), ReadOnly: readOnly, Credentials: c, Goldens: n.golden}
}

func (n *node) unstage(name string) error {
	return n.fresh().Unstage(n.t.Context(), n.acme, n.id(name), n.path(name))
}

// mounts are the rows of the mount table below the node's directory.
func (n *node) mounts() (rows []string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	n.must(err)
	for row := range strings.Lines(string(text)) {
		if strings.Contains(row, " "+n.dir+"/") {
			rows = append(rows, row)
		}
	}
	return rows
}

// processes are those that serve the node's mounts.
func (n *node) processes() (ids []int) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	n.must(err)
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(filepath.Base(strings.Split(string(text), "\x00")[0]), "ceph-fuse") && strings.Contains(string(text), n.dir+"/") {
			id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			n.must(err)
			ids = append(ids, id)
		}
	}
	return ids
}

// nothing says that the node has no mount, no process and no directory of ours.
func (n *node) nothing() {
	n.t.Helper()
	if rows, ids := n.mounts(), n.processes(); len(rows)+len(ids) > 0 {
		n.t.Fatalf("left over: %q, processes %v", rows, ids)
	}
	for _, dir := range []string{"golden-fs", "own-fs", "volume-fs"} {
		if names, err := os.ReadDir(filepath.Join(n.dir, "state", dir)); len(names) > 0 {
			n.t.Fatalf("left over in %s: %v, %v", dir, names, err)
		}
	}
}

// tidy removes what a test that failed left.
func (n *node) tidy() {
	for _, id := range n.processes() {
		_ = syscall.Kill(id, syscall.SIGKILL)
	}
	for range 3 {
		for _, row := range n.mounts() {
			_ = syscall.Unmount(strings.Fields(row)[4], syscall.MNT_DETACH)
		}
	}
	_ = os.RemoveAll(n.dir)
}

// wait polls until a condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it never came that %s", what)
		}
	}
}

// patiently asks a busy Ceph again.
func (n *node) patiently(what string, do func() error) {
	n.t.Helper()
	wait(n.t, what, func() bool {
		err := do()
		if err != nil && !errors.Is(err, volume.ErrUnavailable) {
			n.t.Fatalf("%s: %v", what, err)
		}
		return err == nil
	})
}

// show creates read-only volumes of a golden.
func (n *node) show(ref volume.GoldenRef, names ...string) {
	n.t.Helper()
	for _, name := range names {
		n.must(n.create(volume.Spec{Name: name, ReadOnly: true, Share: volume.ShareNode, Source: volume.Source{Golden: ref}}))
	}
}

// remove deletes volumes, and the golden where there is one.
func (n *node) remove(ref volume.GoldenRef, names ...string) {
	n.t.Helper()
	for _, name := range names {
		n.patiently("delete "+name, func() error { return n.provisioner.Delete(context.Background(), n.acme, n.id(name)) })
	}
	if ref.Name != "" {
		n.patiently("delete "+ref.String(), func() error { return n.library.Delete(context.Background(), n.public, ref) })
	}
}

func (n *node) reads(path, want string) {
	n.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		n.t.Fatalf("%s has %.40q, %v", path, got, err)
	}
}

// TestRealShare stages 20 volumes of a golden: one mount, one process, and
// nothing but the snapshot to be seen.
func TestRealShare(t *testing.T) {
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	var names []string
	for i := range 20 {
		names = append(names, "v"+strconv.Itoa(i))
	}
	n.show(ref, names...)
	results, stager := make(chan error, len(names)), n.fresh()
	for _, name := range names {
		go func() { results <- n.stageBy(stager, name, true) }()
	}
	for range names {
		n.must(<-results)
	}
	if rows, ids := n.mounts(), n.processes(); len(rows) != len(names)+1 || len(ids) != 1 {
		t.Fatalf("%d mounts, processes %v", len(rows), ids)
	}
	n.prefetches()
	for _, name := range names {
		n.reads(filepath.Join(n.path(name), "sub/labels"), "cat\ndog\n")
		n.must(n.fresh().Shown(t.Context(), n.acme, n.id(name), n.path(name)))
	}
	seen, err := os.ReadDir(n.path("v0"))
	n.must(err)
	if len(seen) != 3 {
		t.Errorf("a pod sees %v", seen)
	}
	for _, hidden := range []string{".snap", "sub/.snap", ".meta"} {
		if _, err := os.Stat(filepath.Join(n.path("v0"), hidden)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a pod sees %s: %v", hidden, err)
		}
	}
	if err := os.WriteFile(filepath.Join(n.path("v0"), "x"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a pod writes: %v", err)
	}
	for i, name := range names {
		if len(n.processes()) != 1 {
			t.Fatalf("after %d of %d unstages: processes %v", i, len(names), n.processes())
		}
		n.must(n.unstage(name))
		n.must(n.unstage(name))
	}
	n.nothing()
	n.remove(ref, names...)
}

// prefetches reads the one golden of the node ahead: all of it is in the page
// cache then, and nothing but what was prepared by the mounter is needed for it.
func (n *node) prefetches() {
	n.t.Helper()
	goldens, err := filepath.Glob(filepath.Join(n.state(), "golden-fs/*"))
	n.must(err)
	models, err := filepath.Glob(filepath.Join(goldens[0], ".snap/sealed/*/model"))
	n.must(err)
	if len(goldens) != 1 || len(models) != 1 {
		n.t.Fatalf("the node has the goldens %v with the models %v", goldens, models)
	}
	info, err := os.Stat(models[0])
	n.must(err)
	// A kernel that is short of memory skips some.
	wait(n.t, "the model is in the page cache", func() bool {
		n.must(n.host.Prefetch(n.t.Context(), filepath.Dir(models[0]), true, func(int64) {}))
		cached, err := n.host.Cached(n.t.Context(), filepath.Dir(models[0]))
		n.must(err)
		return cached >= info.Size()
	})
}

// TestRealWrite stages a writable volume at two places at once, for writing and
// for reading: what one writes the other reads, and the kernel keeps to the
// class's options.
func TestRealWrite(t *testing.T) {
	n := newNode(t)
	n.must(n.create(volume.Spec{Name: "w"}))
	stage := func(path string, change func(*volume.Stage)) error {
		st := volume.Stage{ID: n.id("w"), Path: n.path(path), Credentials: n.rw, Options: []string{"noexec", "noatime"}}
		change(&st)
		return n.fresh().Stage(t.Context(), n.acme, st)
	}
	for range 2 {
		n.must(stage("w", func(*volume.Stage) {}))
		n.must(stage("r", func(st *volume.Stage) { st.ReadOnly, st.Credentials = true, n.ro }))
	}
	n.refused("a reader's key writes", stage("x", func(st *volume.Stage) { st.Credentials = n.ro }), volume.ErrDenied)
	n.refused("a harmful option", stage("x", func(st *volume.Stage) { st.Options = []string{"suid"} }), volume.ErrInvalid)
	if rows := strings.Join(n.mounts(), ""); len(n.mounts()) != 2 || strings.Count(rows, "noexec") != 2 || strings.Count(rows, " ro,nosuid") != 1 {
		t.Fatalf("mounted are %s", rows)
	}
	n.must(os.WriteFile(filepath.Join(n.path("w"), "f"), []byte("hello"), 0o600))
	n.reads(filepath.Join(n.path("r"), "f"), "hello")
	if err := os.WriteFile(filepath.Join(n.path("r"), "g"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a reader's mount is written: %v", err)
	}
	n.must(n.fresh().Shown(t.Context(), n.acme, n.id("w"), ""))
	n.must(n.fresh().Expand(t.Context(), n.acme, n.id("w"), n.path("w")))
	n.refused("another volume is shown", n.fresh().Shown(t.Context(), n.acme, n.id("v"), n.path("w")), volume.ErrNotFound)
	for range 2 {
		for _, path := range []string{"w", "r"} {
			n.must(n.fresh().Unstage(t.Context(), n.acme, n.id("w"), n.path(path)))
		}
	}
	n.nothing()
	n.remove(volume.GoldenRef{}, "w")
}
