package sanity

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// namespaceKey is the one parameter that csi-sanity passes besides a golden.
const namespaceKey = "csi.storage.k8s.io/pvc/namespace"

// rig is a tenant «acme» on a real Ceph, and a directory for what the node
// makes.
type rig struct {
	ceph   *realceph.Ceph
	pool   string
	dir    string
	config string // the policy file
	policy *tenant.Policy
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{ceph: realceph.New(t)}
	r.pool = r.ceph.Pool("acme")
	// Not t.TempDir(), whose removal would go through mounts that a failed
	// test has left.
	dir, err := os.MkdirTemp("", "sanity")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	r.dir, r.config = dir, filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("clusters: [%s]\ntenants: [{name: acme, namespaces: [acme]}]\n", r.ceph.Cluster("test", r.pool))
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.policy, err = tenant.Load(r.config); err != nil {
		t.Fatal(err)
	}
	return r
}

// golden imports a small golden of acme.
func (r *rig) golden(t *testing.T, name, fsType string) {
	t.Helper()
	model := filepath.Join(r.dir, "model.h5")
	if err := os.WriteFile(model, []byte(strings.Repeat("weights ", 1<<16)), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, err := volume.ParseGoldenRef(name)
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.policy.Admit("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	cluster := ceph.NewCluster(ceph.Options{})
	defer cluster.Close()
	if _, err := golden.NewLibrary(cluster, golden.Options{}).Import(t.Context(), at, ref, golden.Import{Source: image.Source{Path: model}, FsType: fsType}); err != nil {
		t.Fatal(err)
	}
}

// user makes a cephx user that may do in acme what a node does, and returns
// its node-stage secret.
func (r *rig) user() map[string]string {
	name := "sanity-" + r.pool
	key := r.ceph.User(name, "mon", "profile rbd", "osd", "profile rbd pool="+r.pool+" namespace=acme")
	return map[string]string{tenant.FieldReaderUser: name, tenant.FieldReaderKey: key}
}

// start runs the real program with the fuse mapper, which every kernel can do.
func (r *rig) start(t *testing.T, mode string) *daemon.Driver {
	t.Helper()
	if mode != "controller" {
		exporter := daemon.Program(t, "sdp-export")
		t.Setenv("PATH", filepath.Dir(exporter)+":"+os.Getenv("PATH"))
	}
	return daemon.Start(t, mode, r.config, "--mapper=fuse", "--state-dir="+r.state(), "--node-id=sanity", "-v=2")
}

func (r *rig) state() string { return filepath.Join(r.dir, "state") }

// contents lists what the pool holds of acme: images, those in the trash, and
// the records of volumes and snapshots. Goldens are left out.
func (r *rig) contents() (all []string) {
	for name := range strings.FieldsSeq(r.ceph.RBD("ls", r.pool+"/acme")) {
		all = append(all, "image "+name)
	}
	for line := range strings.Lines(r.ceph.RBD("trash", "ls", "--all", r.pool+"/acme")) {
		all = append(all, "trash "+strings.TrimSpace(line))
	}
	for name := range strings.FieldsSeq(r.ceph.Rados("-p", r.pool, "-N", "acme", "ls")) {
		if strings.HasPrefix(name, "sdp.") && name != "sdp.index" && name != "sdp.quota" {
			all = append(all, "record "+name)
		}
	}
	for name := range strings.FieldsSeq(r.index()) {
		all = append(all, "index "+name)
	}
	return slices.DeleteFunc(all, func(s string) bool { return strings.Contains(s, "golden.") })
}

// index returns the names of the records that the index has.
func (r *rig) index() string {
	if !slices.Contains(strings.Fields(r.ceph.Rados("-p", r.pool, "-N", "acme", "ls")), "sdp.index") {
		return ""
	}
	return r.ceph.Rados("-p", r.pool, "-N", "acme", "listomapkeys", "sdp.index")
}

// left lists what the node still has of this rig: mounts, loop devices, and
// processes that were given its state directory.
func (r *rig) left(t *testing.T) (all []string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, r.dir) {
			all = append(all, "mount "+strings.TrimSpace(line))
		}
	}
	all = append(all, filesWith(t, "/sys/block/loop*/loop/backing_file", r.state())...)
	return append(all, filesWith(t, "/proc/[0-9]*/cmdline", "sdp-export\x00"+r.state())...)
}

// filesWith returns the files that have a text. One that goes away meanwhile
// has not.
func filesWith(t *testing.T, pattern, text string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, _ := os.ReadFile(f); strings.Contains(string(data), text) {
			all = append(all, f+": "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return all
}

// patience bounds what happens soon on an idle machine.
const patience = 3 * time.Minute

// wantNothing waits until list is empty, or fails with what it has.
func wantNothing(t *testing.T, what string, list func() []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		all := list()
		if len(all) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("left %s:\n%s", what, strings.Join(all, "\n"))
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
