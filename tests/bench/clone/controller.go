//go:build bench

package clone

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// tenants of the benchmark: volumes are counted in one, imports done in another.
const (
	cloner = "cloner"
	seeder = "seeder"
)

// controller is a running controller process, its policy and its pool.
type controller struct {
	t       testing.TB
	ceph    *realceph.Ceph
	pool    string
	policy  string
	sdpctl  string
	driver  *daemon.Driver
	volumes csi.ControllerClient
	made    []string // IDs, to be removed
}

func newController(t testing.TB) *controller {
	c := &controller{t: t, ceph: realceph.New(t)}
	c.pool = c.ceph.Pool(cloner, seeder)
	c.policy = filepath.Join(t.TempDir(), "policy.yaml")
	text := fmt.Sprintf("clusters: [%s]\ntenants: [{name: %s, namespaces: [%s]}, {name: %s, namespaces: [%s]}]\n",
		c.ceph.Cluster("bench", c.pool), cloner, cloner, seeder, seeder)
	if err := os.WriteFile(c.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.sdpctl = daemon.Program(t, "sdpctl")
	c.driver = daemon.Start(t, "controller", c.policy)
	c.volumes = csi.NewControllerClient(c.driver.Conn)
	return c
}

// importGolden imports a file with sdpctl, as an operator does.
func (c *controller) importGolden(tenant, name, path string, more ...string) {
	c.t.Helper()
	args := append([]string{"--config", c.policy, "golden", "import", "--tenant", tenant, name, path}, more...)
	out, err := exec.CommandContext(c.t.Context(), c.sdpctl, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("import: %v\n%s", err, out)
	}
}

// want is a volume to make.
type want struct {
	name     string
	golden   string
	bytes    int64
	writable bool
}

func (w want) request() *csi.CreateVolumeRequest {
	mode := csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	if w.writable {
		mode = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	}
	return &csi.CreateVolumeRequest{
		Name: w.name, CapacityRange: &csi.CapacityRange{RequiredBytes: w.bytes},
		VolumeCapabilities: []*csi.VolumeCapability{{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		}},
		Parameters: map[string]string{"golden": w.golden, "csi.storage.k8s.io/pvc/namespace": cloner},
	}
}

// create returns the ID, and whether the answer was Aborted.
func (c *controller) create(ctx context.Context, w want) (id string, aborted bool, err error) {
	r, err := c.volumes.CreateVolume(ctx, w.request())
	return r.GetVolume().GetVolumeId(), status.Code(err) == codes.Aborted, err
}

func (c *controller) remove(ctx context.Context, id string) error {
	_, err := c.volumes.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
	return err
}
