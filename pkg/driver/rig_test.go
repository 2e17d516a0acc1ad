package driver_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const policyFile = `
clusters:
- id: main
  monitors: ["192.0.2.1:3300"]
  pool: rbd
  fileSystem: cephfs
tenants:
- name: acme
  namespaces: [acme-prod, acme-dev]
  goldens: ["public/*"]
- name: globex
  namespaces: [globex]
- name: public
  namespaces: [public]
`

const (
	mib     = int64(1) << 20
	userKey = "QVFCc2VjcmV0a2V5b2ZhY21lMDEyMzQ1Njc4OTA="
)

// rig is a whole driver on the fake Ceph and host, behind a real socket.
type rig struct {
	csi.IdentityClient
	csi.ControllerClient
	csi.NodeClient
	ceph    *fake.Ceph
	files   *fake.FileSystem
	host    *fake.Host
	policy  atomic.Pointer[tenant.Policy]
	shelf   shelf
	metrics *prometheus.Registry
	logs    *journal
	dir     string
}

// setup changes how a rig is made.
type setup func(*driver.ControllerOptions, *driver.NodeOptions)

// rbdOnly makes a driver that does not serve backend cephfs.
func rbdOnly(co *driver.ControllerOptions, _ *driver.NodeOptions) { delete(co.Backends, volume.CephFS) }

func newRig(t *testing.T, changes ...setup) *rig {
	t.Helper()
	r := &rig{ceph: fake.NewCeph(), shelf: shelf{}, metrics: prometheus.NewRegistry(), logs: &journal{}}
	r.files = fake.NewFileSystem(r.ceph)
	r.edit(t, "", "")
	r.host = fake.NewHost(r.ceph)
	r.ceph.Allow("acme", userKey, "acme", "public")
	var err error
	if r.dir, err = os.MkdirTemp("", "driver"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(r.dir) })
	r.serve(t, changes)
	return r
}

// edit brings the policy file into force, with a text replaced.
func (r *rig) edit(t *testing.T, old, text string) {
	t.Helper()
	policy, err := tenant.Parse([]byte(strings.Replace(policyFile, old, text, 1)))
	if err != nil {
		t.Fatal(err)
	}
	r.policy.Store(policy)
}

func (r *rig) serve(t *testing.T, changes []setup) {
	t.Helper()
	metrics := driver.NewMetrics(r.metrics)
	inFiles := cephfs.NewProvisioner(r.files, r.shelf, cephfs.Options{})
	t.Cleanup(inFiles.Close)
	co := driver.ControllerOptions{Policy: r.policy.Load, Backends: map[volume.Backend]driver.Backend{
		volume.RBD: rbd.NewProvisioner(r.ceph, r.shelf), volume.CephFS: inFiles,
	}}
	no := driver.NodeOptions{ID: "node-1", Policy: r.policy.Load, Stager: rbd.NewStager(r.ceph, r.host, r.host, metrics), Mounter: r.host}
	for _, change := range changes {
		change(&co, &no)
	}
	server := &driver.Server{
		Identity:   driver.NewIdentity("v0", true, func(context.Context) error { return nil }),
		Controller: driver.NewController(co), Node: driver.NewNode(no), Metrics: metrics,
	}
	r.connect(t, serve(t, server, filepath.Join(r.dir, "csi.sock"), r.logs))
}

// serve runs a server until the test ends and returns its endpoint.
func serve(t *testing.T, server *driver.Server, socket string, logs *journal) string {
	t.Helper()
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(logs), textlogger.Verbosity(9)))
	ctx, stop := context.WithCancel(klog.NewContext(context.Background(), logger))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, "unix://"+socket) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "unix://" + socket
}

func (r *rig) connect(t *testing.T, endpoint string) {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r.IdentityClient, r.ControllerClient, r.NodeClient = csi.NewIdentityClient(conn), csi.NewControllerClient(conn), csi.NewNodeClient(conn)
}

func (r *rig) place(t *testing.T, namespace string) tenant.Place {
	t.Helper()
	at, err := r.policy.Load().Admit(namespace, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// shelf has goldens by tenant/name:version. It stands in for pkg/golden, which
// has tests of its own.
type shelf map[string]volume.Golden

func (s shelf) Resolve(_ context.Context, at tenant.Place, ref volume.GoldenRef) (volume.Golden, error) {
	ref.Tenant = at.Tenant()
	g, ok := s[ref.String()]
	if !ok || g.State != volume.GoldenReady {
		return volume.Golden{}, fmt.Errorf("golden %s is not ready: %w", ref, volume.ErrNotFound)
	}
	return g, nil
}

// golden puts a sealed golden on the shelf.
func (r *rig) golden(t *testing.T, namespace, name, fsType string, size int64) {
	t.Helper()
	at := r.place(t, namespace)
	ref, err := volume.ParseGoldenRef(name)
	if err != nil {
		t.Fatal(err)
	}
	ref.Tenant = at.Tenant()
	for _, step := range []func() error{
		func() error { return r.ceph.CreateImage(t.Context(), at, ref.Image(), size) },
		func() error { return r.ceph.Fill(at, ref.Image(), fsType, "weights") },
		func() error { return r.ceph.CreateSnapshot(t.Context(), at, ref.Image(), volume.SealedSnapshot) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	id, err := r.ceph.ImageID(t.Context(), at, ref.Image())
	if err != nil {
		t.Fatal(err)
	}
	r.shelf[ref.String()] = volume.Golden{Ref: ref, State: volume.GoldenReady, FsType: fsType, Size: size, ImageID: id}
}

// blank is a valid CreateVolume request of tenant acme.
func blank(name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name:               name,
		CapacityRange:      &csi.CapacityRange{RequiredBytes: 4 * mib},
		VolumeCapabilities: []*csi.VolumeCapability{mounted(csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER)},
		Parameters:         map[string]string{"csi.storage.k8s.io/pvc/namespace": "acme-prod"},
	}
}

func mounted(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	}
}

func block(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}},
	}
}

func fromVolume(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id}}}
}

func fromSnapshot(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id}}}
}

func (r *rig) create(t *testing.T, req *csi.CreateVolumeRequest) *csi.Volume {
	t.Helper()
	resp, err := r.CreateVolume(t.Context(), req)
	if err != nil {
		t.Fatalf("CreateVolume %s: %v", req.GetName(), err)
	}
	return resp.GetVolume()
}

func (r *rig) snapshot(t *testing.T, name, source string) *csi.Snapshot {
	t.Helper()
	resp, err := r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: source})
	if err != nil {
		t.Fatalf("CreateSnapshot %s: %v", name, err)
	}
	return resp.GetSnapshot()
}

func (r *rig) stageRequest(id string, c *csi.VolumeCapability) *csi.NodeStageVolumeRequest {
	return &csi.NodeStageVolumeRequest{
		VolumeId: id, StagingTargetPath: filepath.Join(r.dir, "staging"), VolumeCapability: c,
		Secrets: map[string]string{"userID": "acme", "userKey": userKey},
	}
}

func (r *rig) publishRequest(id, target string, c *csi.VolumeCapability) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId: id, StagingTargetPath: filepath.Join(r.dir, "staging"), TargetPath: filepath.Join(r.dir, target), VolumeCapability: c,
	}
}

// stage creates a volume and stages it.
func (r *rig) stage(t *testing.T, req *csi.CreateVolumeRequest) string {
	t.Helper()
	id := r.create(t, req).GetVolumeId()
	if _, err := r.NodeStageVolume(t.Context(), r.stageRequest(id, req.GetVolumeCapabilities()[0])); err != nil {
		t.Fatalf("NodeStageVolume: %v", err)
	}
	return id
}

// wantCode fails unless err has the code; a message must come with an error.
func wantCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if s := status.Convert(err); s.Code() != code || (code != codes.OK && s.Message() == "") {
		t.Errorf("code %v (%s), want %v", s.Code(), s.Message(), code)
	}
}

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
