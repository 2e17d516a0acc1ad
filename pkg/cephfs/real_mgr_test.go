package cephfs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// ownCeph brings up a Ceph for this test alone, to whose daemons it may do what
// it likes.
func ownCeph(t *testing.T) (dir string) {
	t.Helper()
	realceph.New(t) // says whether to skip
	dir, err := os.MkdirTemp("/var/tmp", "cephfs-own-")
	if err != nil {
		t.Fatal(err)
	}
	hack := func(verb string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		return exec.CommandContext(ctx, "../../hack/ceph", verb, dir).CombinedOutput()
	}
	t.Cleanup(func() {
		if out, err := hack("down"); err != nil {
			t.Errorf("take Ceph down: %v\n%s", err, out)
		}
		_ = os.RemoveAll(dir)
	})
	if out, err := hack("up"); err != nil {
		t.Fatalf("bring Ceph up: %v\n%s", err, out)
	}
	t.Setenv("SDP_CEPH", dir)
	return dir
}

// TestRealWithoutManager stages a read-only volume and a writable one while the
// manager is stopped, on a node that has nothing mounted.
func TestRealWithoutManager(t *testing.T) {
	dir := ownCeph(t)
	n := newNode(t)
	ref := n.seed()
	n.grant(ref)
	n.show(ref, "v")
	n.must(n.create(volume.Spec{Name: "w"}))
	text, err := os.ReadFile(filepath.Join(dir, "run", "mgr.pid"))
	n.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	n.must(err)
	n.must(syscall.Kill(pid, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	// What the manager has just made, the MDS gives to others when it has given
	// the manager's session up, after a minute.
	n.patiently("stage v", func() error { return n.stage("v", true) })
	n.reads(filepath.Join(n.path("v"), "sub/labels"), "cat\ndog\n")
	n.patiently("stage w", func() error { return n.stage("w", false) })
	n.must(os.WriteFile(filepath.Join(n.path("w"), "f"), []byte("hello"), 0o600))
	if _, err := n.host.Usage(t.Context(), n.path("w")); err != nil {
		t.Errorf("usage: %v", err)
	}
	n.must(n.unstage("w"))
	n.must(n.unstage("v"))
	n.nothing()
	n.must(syscall.Kill(pid, syscall.SIGCONT))
	n.remove(ref, "v", "w")
}
