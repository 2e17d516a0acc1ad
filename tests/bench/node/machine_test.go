//go:build bench

package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/tests/bench"
	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// owner is the tenant of the golden and of the volumes.
const owner = "owner"

// machine is this one as a node: a driver process that serves all of CSI, a
// real Ceph, a golden of 1.5 GB that nothing can compress.
type machine struct {
	t       *testing.T
	ceph    *realceph.Ceph
	pool    string
	dir     string
	secrets map[string]string
	driver  *daemon.Driver
	host    *mount.Host
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, ceph: realceph.New(t), host: mount.NewHost()}
	m.pool = m.ceph.Pool(owner)
	// Not t.TempDir(), whose removal would go through mounts.
	dir, err := os.MkdirTemp("/var/tmp", "bench-node")
	m.must(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	m.dir = dir
	policy := filepath.Join(dir, "policy.yaml")
	m.must(os.WriteFile(policy, fmt.Appendf(nil, "clusters: [%s]\ntenants: [{name: %s, namespaces: [%[2]s]}]\n", m.ceph.Cluster("bench", m.pool), owner), 0o600))
	user := "bench-" + m.pool
	key := m.ceph.User(user, "mon", "profile rbd", "osd", "profile rbd pool="+m.pool+" namespace="+owner)
	// A golden is shared by its reader's key alone; here one user is both.
	m.secrets = map[string]string{"userID": user, "userKey": key, "golden." + owner + ".model.v1": user + ":" + key}
	touch()
	m.seed(policy)
	m.driver = daemon.Start(t, "all", policy, "--mapper=fuse", "--golden-linger=0s", "--node-id=bench", "--state-dir="+m.state())
	return m
}

func (m *machine) state() string { return filepath.Join(m.dir, "state") }

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) model() string { return filepath.Join(m.dir, "model.h5") }

// seed imports the golden as an operator does.
func (m *machine) seed(policy string) {
	file, err := os.Create(m.model())
	m.must(err)
	defer file.Close()
	_, err = io.CopyN(file, rand.Reader, modelBytes)
	m.must(err)
	out, err := exec.CommandContext(m.t.Context(), daemon.Program(m.t, "sdpctl"), "--config", policy, "golden", "import", "--tenant", owner, "model:v1", m.model()).CombinedOutput()
	if err != nil {
		m.t.Fatalf("import: %v\n%s", err, out)
	}
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

// function is a volume of the golden on this node.
type function struct {
	*machine
	id, staging, target string
}

func capability() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	}
}

func (m *machine) function(name string, parameters map[string]string) *function {
	m.t.Helper()
	all := map[string]string{"golden": "model:v1", "csi.storage.k8s.io/pvc/namespace": owner}
	for k, v := range parameters {
		all[k] = v
	}
	resp, err := csi.NewControllerClient(m.driver.Conn).CreateVolume(m.t.Context(), &csi.CreateVolumeRequest{
		Name: name, Parameters: all, VolumeCapabilities: []*csi.VolumeCapability{capability()},
	}, grpc.WaitForReady(true))
	m.must(err)
	f := &function{machine: m, id: resp.GetVolume().GetVolumeId(), staging: filepath.Join(m.dir, "staging", name), target: filepath.Join(m.dir, "pods", name)}
	m.must(os.MkdirAll(f.staging, 0o755))
	m.must(os.MkdirAll(filepath.Dir(f.target), 0o755))
	return f
}

func (m *machine) node() csi.NodeClient { return csi.NewNodeClient(m.driver.Conn) }

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
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": owner},
	})
	f.must(err)
}

func (f *function) read() { f.readWhole(filepath.Join(f.target, "model.h5")) }

// readWhole reads as a program does that loads a model: in order, by 1 MiB.
func (m *machine) readWhole(path string) {
	m.t.Helper()
	file, err := os.Open(path)
	m.must(err)
	defer file.Close()
	buffer, total := make([]byte, 1<<20), 0
	for {
		n, err := file.Read(buffer)
		total += n
		if err == io.EOF {
			break
		}
		m.must(err)
	}
	if total != modelBytes {
		m.t.Fatalf("%s has %d bytes", path, total)
	}
}

// remove ends functions and deletes their volumes.
func (m *machine) remove(all []*function) {
	m.t.Helper()
	ctx := context.Background()
	for _, f := range all {
		_, err := m.node().NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: f.id, TargetPath: f.target})
		m.must(err)
		_, err = m.node().NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: f.id, StagingTargetPath: f.staging})
		m.must(err)
		_, err = csi.NewControllerClient(m.driver.Conn).DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: f.id})
		m.must(err)
	}
}

// empty waits until no golden is mapped, so that the next read is a first one.
func (m *machine) empty() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	for {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		m.must(err)
		if !strings.Contains(string(mounts), m.state()) {
			return
		}
		select {
		case <-ctx.Done():
			m.t.Fatalf("there are mounts in %s still:\n%s", m.state(), mounts)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// touch makes the host of a virtual machine give the memory that page cache
// will need: it comes slowly at the first touch, whatever reads into it.
func touch() {
	memory := make([]byte, 4<<30)
	for at := 0; at < len(memory); at += os.Getpagesize() {
		memory[at] = 1
	}
	runtime.KeepAlive(memory)
	debug.FreeOSMemory()
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

// goldenCache is the page cache of the golden's files.
func (m *machine) goldenCache() (bytes int64) {
	m.t.Helper()
	goldens, err := filepath.Glob(filepath.Join(m.state(), "golden", "*"))
	m.must(err)
	for _, dir := range goldens {
		n, err := m.host.Cached(m.t.Context(), dir)
		m.must(err)
		bytes += n
	}
	return bytes
}

// cached is the node's page cache.
func cached() (bytes int64) {
	data, _ := os.ReadFile("/proc/meminfo")
	for _, match := range regexp.MustCompile(`(?m)^(?:Cached|Buffers): *(\d+) kB`).FindAllStringSubmatch(string(data), -1) {
		kib, _ := strconv.ParseInt(match[1], 10, 64)
		bytes += kib << 10
	}
	return bytes
}

// speed is in what rbd bench says in the end. Its time is in whole seconds.
var speed = regexp.MustCompile(`ops/sec: *([0-9.]+)`)

// rbdBench reads the golden's image as fast as Ceph's own program does, and
// returns GB/s.
func (m *machine) rbdBench() float64 {
	m.t.Helper()
	const piece = 4 << 20
	image := m.pool + "/" + owner + "/golden.model.v1"
	out := m.ceph.RBD("bench", "--io-type", "read", "--io-size", "4M", "--io-threads", "8", "--io-pattern", "seq",
		"--io-total", strconv.Itoa(modelBytes/piece*piece), image)
	found := speed.FindAllStringSubmatch(out, -1)
	if len(found) == 0 {
		m.t.Fatalf("rbd bench says\n%s", out)
	}
	perSecond, err := strconv.ParseFloat(found[len(found)-1][1], 64)
	m.must(err)
	return perSecond * piece / 1e9
}
