package sharing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// rig is a real Ceph with the tenants one and two, who may use the goldens of
// a third, and a directory for what nodes make. Users are of the whole Ceph,
// so the tenants' names are this rig's own.
type rig struct {
	t                *testing.T
	ceph             *realceph.Ceph
	cluster          *ceph.Cluster
	library          *golden.Library
	backend          string
	pool, dir        string
	one, two, public string
	config           string // the policy file
	policy           *tenant.Policy
	digests          map[string][sha256.Size]byte // of the goldens' models
}

// newRig returns a rig. Tests with rigs of their own run in parallel: most of
// their time they wait for Ceph.
func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, "rbd")
}

// newRigOf returns a rig whose goldens and volumes are of a backend.
func newRigOf(t *testing.T, backend string) *rig {
	t.Helper()
	t.Parallel()
	mark := strings.ToLower(rand.Text()[:8])
	r := &rig{
		t: t, ceph: realceph.New(t), one: "one-" + mark, two: "two-" + mark, public: "public-" + mark,
		digests: map[string][sha256.Size]byte{}, cluster: ceph.NewCluster(ceph.Options{}), backend: backend,
	}
	t.Cleanup(r.cluster.Close)
	r.library = golden.NewLibrary(r.cluster, golden.Options{})
	r.pool = r.ceph.Pool()
	row := r.ceph.Cluster("test", r.pool)
	if backend == "cephfs" {
		row = strings.Replace(row, "{", "{fileSystem: cephfs, ", 1)
		t.Cleanup(r.removeFiles)
	}
	// Not t.TempDir(), whose removal would go through mounts that a failed
	// test has left.
	dir, err := os.MkdirTemp("", "sharing")
	r.must(err)
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	})
	r.dir, r.config = dir, filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("clusters: [%[1]s]\ntenants:\n- {name: %[2]s, namespaces: [%[2]s], goldens: [%[4]s/*], inline: true}\n- {name: %[3]s, namespaces: [%[3]s], goldens: [%[4]s/*]}\n- {name: %[4]s, namespaces: [%[4]s]}\n",
		row, r.one, r.two, r.public)
	r.must(os.WriteFile(r.config, []byte(text), 0o600))
	r.policy, err = tenant.Load(r.config)
	r.must(err)
	t.Cleanup(r.removeUsers)
	for _, name := range []string{r.one, r.two, r.public} {
		_, err := r.registrar().Create(t.Context(), r.place(name))
		r.must(err)
	}
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) registrar() *tenant.Registrar {
	return tenant.NewRegistrar(r.policy, r.cluster, golden.NewCatalog(r.library, r.cluster), r.cluster)
}

func (r *rig) place(name string) tenant.Place {
	r.t.Helper()
	at, err := r.policy.Default(name, "")
	r.must(err)
	return at
}

// removeUsers removes the users that the rig's tenants and goldens have. The
// pool goes by itself.
func (r *rig) removeUsers() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	at, err := r.policy.Default(r.one, "")
	if err != nil {
		r.t.Error(err)
		return
	}
	users, err := r.cluster.Users(ctx, at)
	if err != nil {
		r.t.Error(err)
	}
	for _, u := range users {
		if u.Tenant != r.one && u.Tenant != r.two && u.Tenant != r.public {
			continue
		}
		if err := r.cluster.Remove(ctx, at, u); err != nil {
			r.t.Error(err)
		}
	}
}

// removeFiles removes what the tenants have in the file system, which is the
// whole Ceph's. Read-only volumes have nothing there.
func (r *rig) removeFiles() {
	for _, group := range []string{r.one, r.two, r.public} {
		for name := range r.digests {
			if ref, err := volume.ParseGoldenRef(name); err == nil && group == r.public {
				full := group + "." + ref.Image()
				r.ceph.Admin("fs", "subvolume", "snapshot", "rm", "cephfs", full, volume.SealedSnapshot, "--group_name", group, "--force")
				r.ceph.Admin("fs", "subvolume", "rm", "cephfs", full, "--group_name", group, "--force")
			}
		}
		r.ceph.Admin("fs", "subvolumegroup", "rm", "cephfs", group, "--force")
	}
}

// seed imports a golden of the public tenant with content of its own, and
// gives who may use it their rights.
func (r *rig) seed(name, fsType string) volume.Golden {
	r.t.Helper()
	ref, err := volume.ParseGoldenRef(name)
	r.must(err)
	model := make([]byte, 3<<20+4099)
	_, _ = rand.Read(model)
	dir := filepath.Join(r.dir, "seed-"+ref.Name)
	r.must(os.Mkdir(dir, 0o755))
	r.must(os.WriteFile(filepath.Join(dir, "model.h5"), model, 0o600))
	r.digests[name] = sha256.Sum256(model)
	in := golden.Import{Source: image.Source{Path: dir}, FsType: fsType}
	if fsType == volume.FilesType {
		files := ceph.NewFileSystem(r.cluster)
		_, err = golden.NewLibrary(files, golden.Options{}).ImportFiles(r.t.Context(), files, r.place(r.public), ref, in)
	} else {
		_, err = r.library.Import(r.t.Context(), r.place(r.public), ref, in)
	}
	r.must(err)
	_, err = r.registrar().Sync(r.t.Context(), r.place(r.one))
	r.must(err)
	g, err := r.library.Get(r.t.Context(), r.place(r.public), ref)
	r.must(err)
	return g
}

// secrets are a tenant's node-stage secret as sdpctl writes it.
func (r *rig) secrets(name string) map[string]string {
	r.t.Helper()
	keys, err := r.registrar().Keys(r.t.Context(), r.place(name))
	r.must(err)
	return keys.Fields()
}

// without is a secret without the fields that begin so.
func without(secrets map[string]string, prefix string) map[string]string {
	kept := map[string]string{}
	for k, v := range secrets {
		if !strings.HasPrefix(k, prefix) {
			kept[k] = v
		}
	}
	return kept
}

func (r *rig) state(node string) string { return filepath.Join(r.dir, "state-"+node) }

// start runs a driver as a node of that name.
func (r *rig) start(node string, more ...string) *daemon.Driver {
	r.t.Helper()
	return daemon.Start(r.t, "all", r.config, append([]string{"--mapper=fuse", "--state-dir=" + r.state(node), "--node-id=" + node, "-v=2"}, more...)...)
}

// want is a volume to make.
type want struct {
	namespace, name, golden, snapshot string
	fsType                            string
	readOnly                          bool
	parameters                        map[string]string
}

func (w want) capability() *csi.VolumeCapability {
	mode := csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	if w.readOnly {
		mode = csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	}
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: w.fsType}},
	}
}

// create makes a volume and returns its ID.
func (r *rig) create(d *daemon.Driver, w want) string {
	r.t.Helper()
	request := &csi.CreateVolumeRequest{
		Name: w.name, VolumeCapabilities: []*csi.VolumeCapability{w.capability()}, CapacityRange: &csi.CapacityRange{RequiredBytes: 320 << 20},
		Parameters: map[string]string{"csi.storage.k8s.io/pvc/namespace": w.namespace, "backend": r.backend},
	}
	for k, v := range w.parameters {
		request.Parameters[k] = v
	}
	if w.golden != "" {
		request.Parameters["golden"] = r.public + "/" + w.golden
	}
	if w.snapshot != "" {
		request.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{
			Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: w.snapshot},
		}}
	}
	resp, err := csi.NewControllerClient(d.Conn).CreateVolume(r.t.Context(), request, grpc.WaitForReady(true))
	r.must(err)
	return resp.GetVolume().GetVolumeId()
}

// function is a volume on its way to a pod on a node.
type function struct {
	want
	id              string
	staging, target string
	secrets         map[string]string
	lock            sync.Mutex // a kubelet makes one call for a volume at a time
}

func (r *rig) function(node string, w want, id string) *function {
	r.t.Helper()
	f := &function{want: w, id: id, staging: filepath.Join(r.dir, "staging", node, w.name), target: filepath.Join(r.dir, "pods", node, w.name), secrets: r.secrets(w.namespace)}
	r.must(os.MkdirAll(f.staging, 0o755))
	r.must(os.MkdirAll(filepath.Dir(f.target), 0o755))
	return f
}

func (f *function) stage(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{
		VolumeId: f.id, StagingTargetPath: f.staging, VolumeCapability: f.capability(), Secrets: f.secrets,
	})
	return err
}

func (f *function) publish(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: f.id, StagingTargetPath: f.staging, TargetPath: f.target, VolumeCapability: f.capability(), Readonly: f.readOnly,
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": f.namespace},
	})
	return err
}

func (f *function) unpublish(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: f.id, TargetPath: f.target})
	return err
}

func (f *function) unstage(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: f.id, StagingTargetPath: f.staging})
	return err
}

// left lists what nodes still have of this rig: mounts, loop devices,
// exporters and clients of CephFS.
func (r *rig) left() (all []string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, r.dir) {
			all = append(all, "mount "+strings.TrimSpace(line))
		}
	}
	all = append(all, filesWith("/sys/block/loop*/loop/backing_file", r.dir)...)
	all = append(all, filesWith("/proc/[0-9]*/cmdline", "sdp-export\x00"+r.dir)...)
	return append(all, slices.DeleteFunc(filesWith("/proc/[0-9]*/cmdline", r.dir), func(s string) bool { return !strings.Contains(s, "ceph-fuse ") })...)
}

// filesWith returns the files that have a text. One that goes away meanwhile
// has not.
func filesWith(pattern, text string) (all []string) {
	files, _ := filepath.Glob(pattern)
	for _, f := range files {
		if data, _ := os.ReadFile(f); strings.Contains(string(data), text) {
			all = append(all, f+": "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return all
}

// patience bounds what happens soon on an idle machine.
const patience = 3 * time.Minute

// eventually waits until done is true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in %s: %s", patience, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// wantNothing waits until nothing is left on the nodes.
func (r *rig) wantNothing() {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Logf("left:\n%s", strings.Join(r.left(), "\n"))
		}
	}()
	eventually(r.t, "nothing is left on the node", func() bool { return len(r.left()) == 0 })
}
