package messages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const policyFile = `
clusters: [{id: main, monitors: ["192.0.2.1:3300"], pool: rbd}]
tenants:
- {name: acme, namespaces: [acme], goldens: ["public/shared:*"]}
- {name: small, namespaces: [small], limits: {volumes: 1, bytes: 2Gi, largest: 1Gi}}
- {name: public}
`

// serve runs a controller on a fake Ceph that has goldens in each state.
func serve(t *testing.T) csi.ControllerClient {
	t.Helper()
	policy, err := tenant.Parse([]byte(policyFile))
	if err != nil {
		t.Fatal(err)
	}
	ceph := fake.NewCeph()
	for ref, state := range map[string]volume.GoldenState{
		"acme/half:v1": volume.GoldenCreating, "acme/old:v1": volume.GoldenRetired, "acme/model:v1": volume.GoldenReady,
		"public/secret:v1": volume.GoldenReady,
	} {
		put(t, policy, ceph, ref, state)
	}
	server := &driver.Server{
		Identity: driver.NewIdentity("v0", true, func(context.Context) error { return nil }),
		Controller: driver.NewController(driver.ControllerOptions{
			Policy:   func() *tenant.Policy { return policy },
			Backends: map[volume.Backend]driver.Backend{volume.RBD: rbd.NewProvisioner(ceph, golden.NewLibrary(ceph, golden.Options{}))},
		}),
		Metrics: driver.NewMetrics(prometheus.NewRegistry()),
	}
	return connect(t, server)
}

func put(t *testing.T, policy *tenant.Policy, ceph *fake.Ceph, text string, state volume.GoldenState) {
	t.Helper()
	ref, err := volume.ParseGoldenRef(text)
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Default(ref.Tenant, "")
	if err != nil {
		t.Fatal(err)
	}
	record := fmt.Sprintf(`{"v":1,"state":%q,"golden":"%s:%s","fsType":"erofs","size":4194304,"dataBytes":4096,"digest":"sha256:00","imageID":"1f","snapshotID":4}`, state, ref.Name, ref.Version)
	if err := ceph.CreateRecord(t.Context(), at, ref.Image(), []byte(record)); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, server *driver.Server) csi.ControllerClient {
	t.Helper()
	dir, err := os.MkdirTemp("", "messages") // t.TempDir is longer than a socket's path may be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	endpoint := "unix://" + filepath.Join(dir, "csi.sock")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, endpoint) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return csi.NewControllerClient(conn)
}

// claim is a claim as the external-provisioner tells of it.
type claim struct {
	namespace  string
	parameters map[string]string
	bytes      int64
	writes     bool
}

func (c claim) request() *csi.CreateVolumeRequest {
	parameters := map[string]string{}
	for k, v := range c.parameters {
		parameters[k] = v
	}
	if c.namespace != "" {
		parameters["csi.storage.k8s.io/pvc/namespace"] = c.namespace
	}
	mode := csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	if c.writes {
		mode = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	}
	return &csi.CreateVolumeRequest{
		Name: "pvc-1", Parameters: parameters, CapacityRange: &csi.CapacityRange{RequiredBytes: c.bytes},
		VolumeCapabilities: []*csi.VolumeCapability{{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		}},
	}
}

func of(golden string) map[string]string { return map[string]string{"golden": golden} }

const gib = int64(1) << 30

func TestAClaimThatCannotBeServedSaysWhy(t *testing.T) {
	tests := map[string]struct {
		claim
		code codes.Code
		says string
	}{
		"the golden is unknown": {claim{namespace: "acme", parameters: of("nothing:v1")}, codes.NotFound,
			"golden acme/nothing:v1 does not exist: import it with `sdpctl golden import --tenant acme nothing:v1 PATH`: not found"},
		"the golden is not sealed": {claim{namespace: "acme", parameters: of("half:v1")}, codes.NotFound,
			"golden acme/half:v1 is not sealed: wait for its import to end, or run `sdpctl golden import` again if it was interrupted: not found"},
		"the golden is retired": {claim{namespace: "acme", parameters: of("old:v1")}, codes.NotFound,
			"golden acme/old:v1 is retired: use another version: not found"},
		"the golden is not granted": {claim{namespace: "acme", parameters: of("public/secret:v1")}, codes.PermissionDenied,
			"tenant acme may not use golden public/secret:v1: grant it in the policy file, under «goldens» of that tenant: denied"},
		"a golden that is not there is not granted either": {claim{namespace: "acme", parameters: of("public/other:v1")}, codes.PermissionDenied,
			"tenant acme may not use golden public/other:v1: grant it in the policy file, under «goldens» of that tenant: denied"},
		"the golden's name is none": {claim{namespace: "acme", parameters: of("resnet50")}, codes.InvalidArgument,
			"golden \"resnet50\" is not [tenant/]name:version, like resnet50:v1 or public/resnet50:v1 (lower case letters, digits and hyphens; a version may have dots and underscores): invalid"},
		"the golden cannot be written": {claim{namespace: "acme", parameters: of("model:v1"), writes: true}, codes.InvalidArgument,
			"golden acme/model:v1 is EROFS, which nobody can write: use ReadOnlyMany, or import with --format ext4: invalid"},
		"nobody knows the namespace": {claim{namespace: "stranger", parameters: of("model:v1")}, codes.PermissionDenied,
			"namespace \"stranger\" belongs to no tenant: add it to the policy file: denied"},
		"the namespace is not told": {claim{parameters: of("model:v1")}, codes.InvalidArgument,
			"the request names no namespace: run the external-provisioner with --extra-create-metadata, or the driver with --default-tenant: invalid"},
		"there is no content to read": {claim{namespace: "acme"}, codes.InvalidArgument,
			"a reader's access mode needs content: name a golden in the class or a dataSource in the claim: invalid"},
		"a parameter is misspelt": {claim{namespace: "acme", parameters: map[string]string{"goldn": "model:v1"}}, codes.InvalidArgument,
			"parameter \"goldn\" is not known: did you mean \"golden\"?"},
		"the volume is over the limit": {claim{namespace: "small", bytes: 4 * gib, writes: true}, codes.ResourceExhausted,
			"a volume of 4294967296 bytes is over the tenant's limit for one volume, 1073741824 bytes: ask for less, or raise «largest» in the policy file: no space"},
	}
	client := serve(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := client.CreateVolume(t.Context(), test.request())
			wantStatus(t, err, test.code, test.says)
		})
	}
}

func TestALimitThatIsReachedSaysWhatIsUsed(t *testing.T) {
	client := serve(t)
	first := claim{namespace: "small", bytes: gib, writes: true}.request()
	if _, err := client.CreateVolume(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := claim{namespace: "small", bytes: gib, writes: true}.request()
	second.Name = "pvc-2"
	_, err := client.CreateVolume(t.Context(), second)
	wantStatus(t, err, codes.ResourceExhausted, "the tenant has 1 of 1 volumes: delete one, or raise «volumes» in the policy file: no space")
}

func wantStatus(t *testing.T, err error, code codes.Code, says string) {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != code || !strings.Contains(s.Message(), says) {
		t.Errorf("%s: %s\nwant %s: %s", s.Code(), s.Message(), code, says)
	}
	if strings.ContainsAny(s.Message(), "\n") {
		t.Errorf("it is more than a line: %s", s.Message())
	}
}
