package tenants

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// house is the driver on a scene's Ceph, as gRPC would call it.
type house struct {
	*scene
	server *server
	// mapped and shown count what got as far as the node's kernel.
	mapped, shown int
}

func newHouse(s *scene) *house {
	h := &house{scene: s}
	policy := func() *tenant.Policy { return s.policy }
	reader := ceph.NewReader(ceph.Options{})
	s.t.Cleanup(reader.Close)
	controller := driver.NewController(driver.ControllerOptions{
		Policy: policy, Backends: map[volume.Backend]driver.Backend{volume.RBD: rbd.NewProvisioner(s.cluster, s.library)},
	})
	node := driver.NewNode(driver.NodeOptions{
		ID: "node", MaxVolumes: 9, RequirePodInfo: true, Policy: policy,
		Stager: rbd.NewStager(reader, kernel{h: h}, floor{}, quiet{}), Mounter: kernel{h: h},
	})
	h.server = serve(s.t, controller, node)
	return h
}

// kernel ends what got past all of the driver's checks with an error of its
// own, so that a test can tell a stage that was let through from one that was
// refused. Nothing is mapped.
type kernel struct {
	rbd.Mapper
	driver.Mounter
	h *house
}

// reached is the code of a request that got to the kernel.
const reached = codes.FailedPrecondition

func (k kernel) Map(context.Context, rbd.Mapping, volume.Credentials) (rbd.Device, error) {
	k.h.mapped++
	return rbd.Device{}, fmt.Errorf("there is no kernel: %w", volume.ErrUnsupported)
}

func (k kernel) Publish(context.Context, volume.Publication) error {
	k.h.shown++
	return fmt.Errorf("there is no kernel: %w", volume.ErrUnsupported)
}

// Find and Mounted let every volume seem staged, wherever it is asked for.
func (kernel) Find(context.Context, rbd.Mapping) (rbd.Device, error) {
	return rbd.Device{Path: "/dev/none"}, nil
}

// List tells no more of them.
func (kernel) List(context.Context) ([]rbd.Mapped, error) { return nil, nil }

// floor is what of the node is below its mounts.
type floor struct{ rbd.Host }

func (floor) Mounted(context.Context, string) (rbd.Mount, error) {
	return rbd.Mount{Device: "/dev/none"}, nil
}

func (kernel) Exclusive() bool { return true }

type quiet struct{}

func (quiet) Step(string) func() { return func() {} }

func (h *house) expect(what string, err error, want codes.Code) {
	h.t.Helper()
	if got := codeOf(err); got != want {
		h.t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

var blankMount = []*csi.VolumeCapability{{
	AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
}}

var readerMount = []*csi.VolumeCapability{{
	AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
}}

// creation is a request of a namespace's claim.
func creation(namespace, name, golden string) *csi.CreateVolumeRequest {
	r := &csi.CreateVolumeRequest{
		Name: name, VolumeCapabilities: blankMount, CapacityRange: &csi.CapacityRange{RequiredBytes: 8 << 20},
		Parameters: map[string]string{"csi.storage.k8s.io/pvc/namespace": namespace},
	}
	if golden != "" {
		r.Parameters["golden"], r.VolumeCapabilities = golden, readerMount
	}
	return r
}

func (h *house) make(r *csi.CreateVolumeRequest) string {
	h.t.Helper()
	resp, err := h.server.controller.CreateVolume(h.t.Context(), r)
	must(h.t, err)
	if len(resp.GetVolume().GetVolumeContext()) != 0 {
		h.t.Errorf("the volume context is %v, it should be empty", resp.GetVolume().GetVolumeContext())
	}
	return resp.GetVolume().GetVolumeId()
}

func fromVolume(r *csi.CreateVolumeRequest, id string) *csi.CreateVolumeRequest {
	r.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id}}}
	return r
}

func fromSnapshot(r *csi.CreateVolumeRequest, id string) *csi.CreateVolumeRequest {
	r.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id}}}
	return r
}

// TestSourcesAcrossTenants asks for volumes from every kind of source that is
// another tenant's, and from those that A may use.
func TestSourcesAcrossTenants(t *testing.T) {
	s := newScene(t)
	s.seed(s.public, granted)
	s.seed(s.public, private)
	h := newHouse(s)
	ctx, c := t.Context(), h.server.controller
	mine, theirs := h.make(creation(s.a, "mine", "")), h.make(creation(s.b, "theirs", ""))
	snapshot := func(name, of string) string {
		resp, err := c.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: of})
		must(t, err)
		return resp.GetSnapshot().GetSnapshotId()
	}
	mySnapshot, theirSnapshot := snapshot("mine", mine), snapshot("theirs", theirs)
	before := s.contents(s.b)
	tests := map[string]struct {
		request *csi.CreateVolumeRequest
		want    codes.Code
	}{
		"own volume":               {fromVolume(creation(s.a, "1", ""), mine), codes.OK},
		"own snapshot":             {fromSnapshot(creation(s.a, "2", ""), mySnapshot), codes.OK},
		"granted golden":           {creation(s.a, "3", s.public+"/"+granted), codes.OK},
		"another tenant's volume":  {fromVolume(creation(s.a, "4", ""), theirs), codes.PermissionDenied},
		"another one's snapshot":   {fromSnapshot(creation(s.a, "5", ""), theirSnapshot), codes.PermissionDenied},
		"golden not granted":       {creation(s.a, "6", s.public+"/"+private), codes.PermissionDenied},
		"golden that is not there": {creation(s.a, "7", s.b+"/secret:v1"), codes.PermissionDenied},
		"granted to A, asked by B": {creation(s.b, "8", s.public+"/"+granted), codes.PermissionDenied},
		"namespace of nobody":      {creation(s.a+"x", "9", ""), codes.PermissionDenied},
		"namespace with a dot":     {creation(s.a+".x", "10", ""), codes.PermissionDenied},
		"namespace with a hyphen":  {creation(s.a+"-", "11", ""), codes.PermissionDenied},
		"namespace that looks so":  {creation("\u0430"+s.a[1:], "12", ""), codes.PermissionDenied},
		"namespace in capitals":    {creation(strings.ToUpper(s.a), "13", ""), codes.PermissionDenied},
		"namespace of 253 bytes":   {creation(s.a+strings.Repeat("x", 253-len(s.a)), "14", ""), codes.PermissionDenied},
		"no namespace":             {creation("", "15", ""), codes.InvalidArgument},
	}
	for name, tt := range tests {
		_, err := c.CreateVolume(ctx, tt.request)
		h.expect(name, err, tt.want)
	}
	if after := s.contents(s.b); after != before {
		t.Errorf("B has other data than before:\n%s\nbefore:\n%s", after, before)
	}
}

// TestForgedIDs edits every part of A's IDs. What does not exist is not found,
// and nothing of B is touched, though its volume has the same name.
func TestForgedIDs(t *testing.T) {
	s := newScene(t)
	h := newHouse(s)
	ctx, c := t.Context(), h.server.controller
	mine, theirs := h.make(creation(s.a, "same name", "")), h.make(creation(s.b, "another", ""))
	before, own := s.contents(s.b), s.contents(s.a)
	forged := map[string]string{
		"tenant": strings.Replace(mine, "."+s.a+".", "."+s.b+".", 1), "public tenant": strings.Replace(mine, s.a, s.public, 1),
		"tenant of nobody": strings.Replace(mine, s.a, "nobody", 1), "backend": strings.Replace(mine, ".rbd.", ".cephfs.", 1),
		"hash":   theirs[:strings.LastIndexByte(theirs, '.')] + mine[strings.LastIndexByte(mine, '.'):],
		"golden": strings.TrimSuffix(mine, mine[strings.LastIndexByte(mine, '.'):]) + ".golden.model.v1",
	}
	for name, id := range forged {
		_, err := c.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: id})
		h.expect(name+": get", err, codes.NotFound)
		_, err = c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30}})
		h.expect(name+": expand", err, codes.NotFound)
		_, err = c.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: id})
		h.expect(name+": snapshot", err, codes.NotFound)
		_, err = c.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeId: id, VolumeCapabilities: blankMount})
		h.expect(name+": validate", err, codes.NotFound)
		_, err = h.server.node.NodeStageVolume(ctx, stage(id, s.keys(s.a).Fields()))
		if code := codeOf(err); code != codes.NotFound && code != codes.PermissionDenied {
			t.Errorf("%s: stage: %v, want NotFound or PermissionDenied", name, err)
		}
	}
	if after := s.contents(s.b); after != before || s.contents(s.a) != own {
		t.Errorf("B has other data than before:\n%s\nbefore:\n%s", after, before)
	}
	if h.mapped+h.shown > 0 {
		t.Errorf("%d requests got as far as a map, %d as a mount", h.mapped, h.shown)
	}
}

func stage(id string, secrets map[string]string) *csi.NodeStageVolumeRequest {
	return &csi.NodeStageVolumeRequest{
		VolumeId: id, StagingTargetPath: "/nowhere/staging", VolumeCapability: blankMount[0], Secrets: secrets,
		// What a volume context says is nothing that the node believes.
		VolumeContext: map[string]string{"tenant": "forged", "pool": "forged", "image": "golden.model.v1"},
	}
}

// TestNodeAcrossTenants stages and publishes with the right keys and pods and
// with every wrong one.
func TestNodeAcrossTenants(t *testing.T) {
	s := newScene(t)
	v1 := s.seed(s.public, granted)
	h := newHouse(s)
	ctx, n := t.Context(), h.server.node
	mine, theirs := h.make(creation(s.a, "mine", "")), h.make(creation(s.b, "theirs", ""))
	a, b := s.keys(s.a), s.keys(s.b)
	mixed := map[string]string{tenant.FieldReaderUser: b.Reader.User, tenant.FieldReaderKey: a.Reader.Key.Reveal()}
	shared := map[string]string{tenant.FieldReaderUser: a.Goldens[v1].User, tenant.FieldReaderKey: a.Goldens[v1].Key.Reveal()}
	readerOnly := map[string]string{tenant.FieldReaderUser: a.Reader.User, tenant.FieldReaderKey: a.Reader.Key.Reveal()}
	stages := map[string]struct {
		id      string
		secrets map[string]string
		want    codes.Code
	}{
		"own volume, own keys":             {mine, a.Fields(), reached},
		"own volume, own reader":           {mine, readerOnly, reached},
		"B's volume, B's keys":             {theirs, b.Fields(), reached},
		"B's volume, A's keys":             {theirs, a.Fields(), codes.PermissionDenied},
		"own volume, B's keys":             {mine, b.Fields(), codes.PermissionDenied},
		"B's volume, B's name and A's key": {theirs, mixed, codes.PermissionDenied},
		"own volume, a golden's reader":    {mine, shared, codes.PermissionDenied},
		"own volume, no keys":              {mine, nil, codes.InvalidArgument},
	}
	for name, tt := range stages {
		before := h.mapped
		_, err := n.NodeStageVolume(ctx, stage(tt.id, tt.secrets))
		h.expect("stage "+name, err, tt.want)
		if got := h.mapped - before; (tt.want == reached) != (got == 1) {
			t.Errorf("stage %s: %d maps", name, got)
		}
	}
	pods := map[string]struct {
		namespace string
		want      codes.Code
	}{
		"own pod": {s.a, reached}, "B's pod": {s.b, codes.PermissionDenied}, "nobody's pod": {"default", codes.PermissionDenied},
		"pod of a similar namespace": {s.a + "x", codes.PermissionDenied}, "a pod that nobody names": {"", codes.PermissionDenied},
	}
	for name, tt := range pods {
		_, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
			VolumeId: mine, StagingTargetPath: "/nowhere/staging", TargetPath: "/nowhere/target", VolumeCapability: blankMount[0],
			VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": tt.namespace},
		})
		h.expect("publish to "+name, err, tt.want)
	}
}
