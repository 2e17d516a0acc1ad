package sanity

import (
	"context"
	"crypto/rand"
	"errors"
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

// rig is a tenant on a real Ceph, whose Kubernetes namespace is acme, and a
// directory for what the node makes. The tenant has a name of its own, because
// the file system and the users are the whole Ceph's.
type rig struct {
	ceph   *realceph.Ceph
	pool   string
	tenant string
	at     tenant.Place
	files  ceph.FileSystem
	dir    string
	config string // the policy file
	policy *tenant.Policy
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{ceph: realceph.New(t), tenant: "sanity-" + strings.ToLower(rand.Text()[:8])}
	r.pool = r.ceph.Pool(r.tenant)
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
	row := strings.Replace(r.ceph.Cluster("test", r.pool), "{", "{fileSystem: cephfs, ", 1)
	text := fmt.Sprintf("clusters: [%s]\ntenants: [{name: %s, namespaces: [acme]}]\n", row, r.tenant)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	return r
}

// open makes the tenant. It goes with the test, and with it its goldens.
func (r *rig) open(t *testing.T) {
	t.Helper()
	var err error
	if r.policy, err = tenant.Load(r.config); err != nil {
		t.Fatal(err)
	}
	if r.at, err = r.policy.Admit("acme", ""); err != nil {
		t.Fatal(err)
	}
	cluster := ceph.NewCluster(ceph.Options{})
	r.files = ceph.NewFileSystem(cluster)
	t.Cleanup(cluster.Close)
	if _, err := r.registrar().Create(t.Context(), r.at); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close(t) })
}

func (r *rig) registrar() *tenant.Registrar {
	return tenant.NewRegistrar(r.policy, r.files.Cluster, golden.NewCatalog(r.library(volume.RBD), r.files.Cluster), r.files.Cluster)
}

func (r *rig) library(b volume.Backend) *golden.Library {
	if b == volume.CephFS {
		return golden.NewLibrary(r.files, golden.Options{})
	}
	return golden.NewLibrary(r.files.Cluster, golden.Options{})
}

// close removes the tenant with all that is to be left, its goldens.
func (r *rig) close(t *testing.T) {
	ctx := context.Background()
	all, _, err := r.library(volume.RBD).List(ctx, r.at, "", 100)
	for _, g := range all {
		err = errors.Join(err, r.library(g.Backend()).Delete(ctx, r.at, g.Ref))
	}
	if err = errors.Join(err, r.registrar().Delete(ctx, r.at)); err != nil {
		t.Errorf("remove tenant %s: %v", r.tenant, err)
	}
}

// golden imports a small golden.
func (r *rig) golden(t *testing.T, name, fsType string) {
	t.Helper()
	model := filepath.Join(r.dir, "model.h5")
	if err := os.WriteFile(model, []byte(strings.Repeat("weights ", 1<<16)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.load(t, name, fsType, model)
}

func (r *rig) load(t *testing.T, name, fsType, path string) {
	t.Helper()
	ref, err := volume.ParseGoldenRef(name)
	if err != nil {
		t.Fatal(err)
	}
	in := golden.Import{Source: image.Source{Path: path}, FsType: fsType}
	if fsType == volume.FilesType {
		_, err = r.library(volume.CephFS).ImportFiles(t.Context(), r.files, r.at, ref, in)
	} else {
		_, err = r.library(volume.RBD).Import(t.Context(), r.at, ref, in)
	}
	if err == nil {
		_, err = r.registrar().Sync(t.Context(), r.at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// secret returns the tenant's node-stage secret.
func (r *rig) secret(t *testing.T) map[string]string {
	t.Helper()
	keys, err := r.registrar().Keys(t.Context(), r.at)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Fields()
}

// start runs the real program with the fuse mapper, which every kernel can do.
func (r *rig) start(t *testing.T, mode string, more ...string) *daemon.Driver {
	t.Helper()
	if mode != "controller" {
		exporter := daemon.Program(t, "sdp-export")
		t.Setenv("PATH", filepath.Dir(exporter)+":"+os.Getenv("PATH"))
	}
	args := []string{"--mapper=fuse", "--create-wait=5m", "--state-dir=" + r.state(), "--node-id=sanity", "-v=2"}
	return daemon.Start(t, mode, r.config, append(args, more...)...)
}

func (r *rig) state() string { return filepath.Join(r.dir, "state") }

// contents lists what Ceph holds of the tenant: images, those in the trash,
// subvolumes, who needs snapshots, the writers of volumes, and records. Goldens
// and what is about the tenant itself are left out.
func (r *rig) contents() (all []string) {
	add := func(what, names string, keep func(string) bool) {
		for line := range strings.Lines(names) {
			if name := strings.TrimSpace(line); keep(name) {
				all = append(all, what+" "+name)
			}
		}
	}
	some := func(string) bool { return true }
	mine := func(name string) bool { return strings.Contains(name, r.tenant+".") }
	add("image", r.ceph.RBD("ls", r.pool+"/"+r.tenant), some)
	add("trash", r.ceph.RBD("trash", "ls", "--all", r.pool+"/"+r.tenant), some)
	if strings.Contains(r.ceph.Admin("fs", "subvolumegroup", "ls", "cephfs"), `"`+r.tenant+`"`) {
		add("subvolume", r.ceph.Admin("fs", "subvolume", "ls", "cephfs", "--group_name", r.tenant), mine)
	}
	add("references", r.ceph.Rados("-p", r.pool, "-N", "sdp.refs", "ls"), mine)
	add("key", r.ceph.Rados("-p", r.pool, "-N", r.tenant+".keys", "ls"), mine)
	add("user", r.ceph.Admin("auth", "ls"), func(s string) bool { return strings.HasPrefix(s, "client.sdpfs.") && mine(s) })
	add("record", r.ceph.Rados("-p", r.pool, "-N", r.tenant, "ls"), isRecord)
	add("index", r.index(), some)
	return slices.DeleteFunc(all, func(s string) bool {
		return strings.Contains(s, "golden.") || strings.Contains(s, "reader.")
	})
}

func isRecord(object string) bool {
	return strings.HasPrefix(object, "sdp.") && object != "sdp.index" && object != "sdp.quota"
}

// index returns the names of the records that the index has.
func (r *rig) index() string {
	if !slices.Contains(strings.Fields(r.ceph.Rados("-p", r.pool, "-N", r.tenant, "ls")), "sdp.index") {
		return ""
	}
	return r.ceph.Rados("-p", r.pool, "-N", r.tenant, "listomapkeys", "sdp.index")
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
	all = append(all, filesWith(t, "/proc/[0-9]*/cmdline", "sdp-export\x00"+r.state())...)
	return append(all, clientsOf(t, r.dir)...)
}

// clientsOf returns the ceph-fuse processes that serve something in a
// directory.
func clientsOf(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(filesWith(t, "/proc/[0-9]*/cmdline", dir), func(s string) bool { return !strings.Contains(s, "ceph-fuse") })
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
