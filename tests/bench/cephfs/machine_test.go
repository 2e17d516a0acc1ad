//go:build bench

package cephfs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/tests/bench"
	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// machine is this one as a controller and a node: a driver process that serves
// all of CSI, a real Ceph, and a tenant of it, which stays: the Ceph is a
// throwaway one.
type machine struct {
	t       *testing.T
	ceph    *realceph.Ceph
	tenant  string
	dir     string
	policy  string
	driver  *daemon.Driver
	secrets map[string]string

	mu    sync.Mutex
	made  []string // IDs, to be removed
	shown []*function
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, ceph: realceph.New(t), tenant: "bench-" + strings.ToLower(rand.Text()[:8])}
	// Not t.TempDir(), whose removal would go through mounts.
	dir, err := os.MkdirTemp("/var/tmp", "bench-cephfs")
	m.must(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	m.dir, m.policy = dir, filepath.Join(dir, "policy.yaml")
	row := strings.Replace(m.ceph.Cluster("bench", m.ceph.Pool()), "{", "{fileSystem: cephfs, ", 1)
	m.must(os.WriteFile(m.policy, fmt.Appendf(nil, "clusters: [%s]\ntenants: [{name: %s, namespaces: [%[2]s]}]\n", row, m.tenant), 0o600))
	m.sdpctl("tenant", "create", m.tenant)
	m.driver = daemon.Start(t, "all", m.policy, "--mapper=fuse", "--golden-linger=0s", "--node-id=bench", "--state-dir="+filepath.Join(dir, "state"))
	t.Cleanup(m.removeAll)
	return m
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// sdpctl runs the operator's program.
func (m *machine) sdpctl(args ...string) []byte {
	m.t.Helper()
	cmd := exec.Command(daemon.Program(m.t, "sdpctl"), append([]string{"--config", m.policy}, args...)...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("sdpctl %s: %v\n%s", strings.Join(args, " "), err, problem.String())
	}
	return out
}

// seed imports a golden that nothing can compress, and reads the keys that
// open it.
func (m *machine) seed(k kind, size int64) {
	model := filepath.Join(m.dir, "model.h5")
	file, err := os.Create(model)
	m.must(err)
	defer file.Close()
	_, err = io.CopyN(file, rand.Reader, size)
	m.must(err)
	m.sdpctl("golden", "import", "--tenant", m.tenant, "--backend", k.backend, k.golden, model)
	var secret struct {
		StringData map[string]string `json:"stringData"`
	}
	m.must(yaml.Unmarshal(m.sdpctl("tenant", "secret", m.tenant), &secret))
	m.secrets = secret.StringData
}

// load notes how busy the machine is: others may share it.
func (m *machine) load(report *bench.Report, when string) {
	text, err := os.ReadFile("/proc/loadavg")
	m.must(err)
	report.Note("load %s: %s", when, strings.TrimSpace(string(text)))
}

func (m *machine) timed(fn func()) time.Duration {
	start := time.Now()
	fn()
	return time.Since(start)
}

func capability() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	}
}

// create makes a read-only volume, to be removed with the others.
func (m *machine) create(k kind, name string) (string, error) {
	r, err := csi.NewControllerClient(m.driver.Conn).CreateVolume(m.t.Context(), &csi.CreateVolumeRequest{
		Name: k.backend + "-" + k.golden + "-" + name, VolumeCapabilities: []*csi.VolumeCapability{capability()},
		Parameters: map[string]string{"backend": k.backend, "golden": k.golden, "csi.storage.k8s.io/pvc/namespace": m.tenant},
	}, grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, r.GetVolume().GetVolumeId())
	return r.GetVolume().GetVolumeId(), nil
}

func (m *machine) make(k kind, name string) string {
	m.t.Helper()
	id, err := m.create(k, name)
	m.must(err)
	return id
}

// removeAll ends the functions and deletes the volumes.
func (m *machine) removeAll() {
	m.t.Helper()
	ctx := context.Background()
	for _, f := range m.shown {
		_, err := m.node().NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: f.id, TargetPath: f.target})
		m.must(err)
		_, err = m.node().NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: f.id, StagingTargetPath: f.staging})
		m.must(err)
	}
	for _, id := range m.made {
		_, err := csi.NewControllerClient(m.driver.Conn).DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
		m.must(err)
	}
	m.made, m.shown = nil, nil
}

func (m *machine) node() csi.NodeClient { return csi.NewNodeClient(m.driver.Conn) }

// function is a volume of the golden on this node.
type function struct {
	*machine
	id, staging, target string
}

func (m *machine) function(id, name string) *function {
	m.t.Helper()
	f := &function{machine: m, id: id, staging: filepath.Join(m.dir, "staging", name), target: filepath.Join(m.dir, "pods", name)}
	m.must(os.MkdirAll(f.staging, 0o755))
	m.must(os.MkdirAll(filepath.Dir(f.target), 0o755))
	m.shown = append(m.shown, f)
	return f
}

func (f *function) stage() {
	f.t.Helper()
	_, err := f.node().NodeStageVolume(f.t.Context(), &csi.NodeStageVolumeRequest{
		VolumeId: f.id, StagingTargetPath: f.staging, VolumeCapability: capability(), Secrets: f.secrets,
	})
	f.must(err)
}

func (f *function) publish() {
	f.t.Helper()
	_, err := f.node().NodePublishVolume(f.t.Context(), &csi.NodePublishVolumeRequest{
		VolumeId: f.id, StagingTargetPath: f.staging, TargetPath: f.target, VolumeCapability: capability(), Readonly: true,
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": f.tenant},
	})
	f.must(err)
}

// read reads the model as a program does that loads it: in order, by 1 MiB.
func (f *function) read() {
	f.t.Helper()
	file, err := os.Open(filepath.Join(f.target, "model.h5"))
	f.must(err)
	defer file.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, make([]byte, 1<<20))
	f.must(err)
	if n != modelBytes {
		f.t.Fatalf("%s has %d bytes", file.Name(), n)
	}
}

// osdBytes is what clients have read from the OSD so far.
func (m *machine) osdBytes() int64 {
	m.t.Helper()
	var dump struct {
		OSD struct {
			Read int64 `json:"op_r_out_bytes"`
		} `json:"osd"`
	}
	m.must(json.Unmarshal([]byte(m.ceph.Admin("tell", "osd.0", "perf", "dump")), &dump))
	return dump.OSD.Read
}
