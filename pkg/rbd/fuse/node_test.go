package fuse

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// patience bounds what a busy machine may make slow. Ceph itself needs 30 s to
// notice that a client has died.
const patience = 3 * time.Minute

// node is a node of the real Ceph with a state directory of its own.
type node struct {
	*Mapper
	t    *testing.T
	ceph *realceph.Ceph
	pool string
	key  volume.Credentials

	socket string // of the node's mounter, where it has one
}

func newNode(t *testing.T) *node {
	t.Helper()
	c := realceph.New(t)
	n := &node{t: t, ceph: c, pool: c.Pool("acme"), key: volume.Credentials{User: "admin", Key: volume.Secret(c.AdminKey())}}
	n.Mapper = n.another()
	return n
}

// another is a second node of the same Ceph: it shares nothing but the kernel.
func (n *node) another() *Mapper {
	n.t.Helper()
	m := New(Options{StateDir: stateDir(n.t), Starter: local(os.Getenv(exporterVariable))})
	if err := m.Available(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	// Registered after the directory's removal, so it runs before it.
	n.t.Cleanup(func() { emptied(n.t, m) })
	return m
}

// local starts exporters of this program.
func local(exporter string) mounter.Local {
	return mounter.Local{Paths: map[string]string{mounter.Export: exporter}}
}

func stateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// emptied takes everything down, and tells whether anything stays.
func emptied(t *testing.T, m *Mapper) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	spots, err := m.all()
	if err != nil {
		t.Error(err)
	}
	for _, s := range spots {
		if err := patiently(ctx, func() error { return m.takeDown(ctx, s.dir) }); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(m.options.StateDir)
	if err != nil || len(left) > 0 {
		t.Errorf("the state directory still has %v, %v", left, err)
	}
}

// image makes an image with noise in it and returns its mapping and content.
func (n *node) image(name string, size int) (rbd.Mapping, []byte) {
	n.t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(content)
	file := filepath.Join(n.t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		n.t.Fatal(err)
	}
	m := rbd.Mapping{Monitors: n.ceph.Monitors(), Pool: n.pool, Namespace: "acme", Image: name}
	n.ceph.RBD("import", "--no-progress", file, n.pool+"/acme/"+name)
	return m, content
}

// sealed is an image's snapshot.
func (n *node) sealed(m rbd.Mapping) rbd.Mapping {
	n.t.Helper()
	n.ceph.RBD("snap", "create", "--no-progress", m.Pool+"/acme/"+m.Image+"@sealed")
	m.Snapshot, m.ReadOnly = "sealed", true
	return m
}

func (n *node) mapped(m rbd.Mapping) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	d, err := n.Map(ctx, m, n.key)
	if err != nil {
		n.t.Fatalf("map %s@%s: %v", m.Image, m.Snapshot, err)
	}
	return d.Path
}

func (n *node) unmapped(m rbd.Mapping) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if err := patiently(ctx, func() error { return n.Unmap(ctx, m) }); err != nil {
		n.t.Fatalf("unmap %s@%s: %v", m.Image, m.Snapshot, err)
	}
}

// patiently is as patient as the mapper's user (pkg/rbd.Stager) with those who
// have the device for a moment: what looks at block devices, other tests' new
// mount namespaces, a child between fork and exec.
func patiently(ctx context.Context, call func() error) error {
	for {
		err := call()
		busy := errors.Is(err, volume.ErrInUse) || errors.Is(err, unix.EBUSY)
		if !busy || endsWithin(ctx.Done(), 50*time.Millisecond) {
			return err
		}
	}
}

// exporterOf returns the process that serves m.
func (n *node) exporterOf(m rbd.Mapping) int {
	n.t.Helper()
	spots, err := n.spots(m)
	if err != nil || len(spots) != 1 || spots[0].exporter == 0 {
		n.t.Fatalf("the exporter of %s: %+v, %v", m.Image, spots, err)
	}
	return spots[0].exporter
}

// killed kills the exporter of m, hard, and waits until it has gone.
func (n *node) killed(m rbd.Mapping) {
	n.t.Helper()
	pid := n.exporterOf(m)
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		n.t.Fatal(err)
	}
	spots, _ := n.spots(m)
	n.eventually("the exporter to end", func() bool {
		owner, err := wire.Owner(spots[0].log())
		return err == nil && owner == 0
	})
}

func (n *node) eventually(what string, done func() bool) {
	n.t.Helper()
	for until := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			n.t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// shows compares a device with what should be on it, past the page cache.
func (n *node) shows(device string, content []byte) {
	n.t.Helper()
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), device)
	defer file.Close()
	got := make([]byte, len(content))
	if _, err := file.ReadAt(got, 0); err != nil {
		n.t.Fatal(err)
	}
	if !bytes.Equal(got, content) {
		n.t.Fatalf("%s shows something else", device)
	}
}

// run runs a program of the node.
func (n *node) run(program string, args ...string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// mount mounts a device until the returned function is called.
func (n *node) mount(device string, options ...string) (dir string, unmount func()) {
	n.t.Helper()
	dir = n.t.TempDir()
	n.run("mount", append(options, device, dir)...)
	mounted := true
	unmount = func() {
		n.t.Helper()
		if mounted {
			mounted = false
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := patiently(ctx, func() error { return unix.Unmount(dir, 0) }); err != nil {
				n.t.Errorf("unmount %s: %v", dir, err)
			}
		}
	}
	n.t.Cleanup(unmount)
	return dir, unmount
}
