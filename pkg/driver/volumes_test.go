package driver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// badIDs are IDs and what a verb that looks for the volume answers.
var badIDs = map[string]struct {
	text string
	code codes.Code
}{
	"none":             {"", codes.InvalidArgument},
	"foreign":          {"fake-vol-id", codes.NotFound},
	"no such volume":   {"sdp1.rbd.main.acme." + someHash, codes.NotFound},
	"no such tenant":   {"sdp1.rbd.main.nobody." + someHash, codes.NotFound},
	"no such cluster":  {"sdp1.rbd.other.acme." + someHash, codes.NotFound},
	"backend not here": {"sdp1.cephfs.main.acme." + someHash, codes.NotFound},
	"a snapshot":       {"sdp1s.rbd.main.acme." + someHash, codes.NotFound},
	"endless":          {strings.Repeat("sdp1.", 1<<16), codes.NotFound},
	"path":             {"../../../etc/passwd", codes.NotFound},
	"slash":            {"sdp1.rbd.main.ac/me." + someHash, codes.NotFound},
	"at":               {"sdp1.rbd.main.ac@me." + someHash, codes.NotFound},
	"NUL":              {"sdp1.rbd.main.ac\x00me." + someHash, codes.NotFound},
	"other letters":    {"том.rbd.main.acme." + someHash, codes.NotFound},
}

// Every verb that looks for a volume answers bad IDs alike.
func TestVolumeIDs(t *testing.T) {
	r := newRig(t, rbdOnly)
	size := &csi.CapacityRange{RequiredBytes: mib}
	verbs := map[string]func(id string) error{
		"ControllerGetVolume": func(id string) error {
			_, err := r.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: id})
			return err
		},
		"ControllerGetVolumeHealth": func(id string) error {
			_, err := r.ControllerGetVolumeHealth(t.Context(), &csi.ControllerGetVolumeHealthRequest{VolumeId: id})
			return err
		},
		"ControllerExpandVolume": func(id string) error {
			_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: size})
			return err
		},
		"ControllerExpandVolume for a use": func(id string) error {
			_, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
				VolumeId: id, CapacityRange: size, VolumeCapability: mounted(multiWriter),
			})
			return err
		},
		"ValidateVolumeCapabilities": func(id string) error {
			_, err := r.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{
				VolumeId: id, VolumeCapabilities: []*csi.VolumeCapability{mounted(multiWriter)},
			})
			return err
		},
		"CreateSnapshot": func(id string) error {
			_, err := r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "snap", SourceVolumeId: id})
			return err
		},
	}
	for verb, do := range verbs {
		for name, tc := range badIDs {
			t.Run(verb+"/"+name, func(t *testing.T) { wantCode(t, do(tc.text), tc.code) })
		}
	}
	if left := r.ceph.Contents(r.place(t, "acme-prod")); len(left) > 0 {
		t.Errorf("left in Ceph: %v", left)
	}
}

// Deleting what is not ours, or not there, is success; what might be there
// but cannot be reached is not.
func TestDeleteVolumeIDs(t *testing.T) {
	r := newRig(t, rbdOnly)
	want := map[string]codes.Code{
		"none": codes.InvalidArgument, "no such cluster": codes.FailedPrecondition, "backend not here": codes.FailedPrecondition,
	}
	for name, tc := range badIDs {
		t.Run(name, func(t *testing.T) {
			_, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: tc.text})
			wantCode(t, err, want[name])
			snap := strings.Replace(tc.text, "sdp1.", "sdp1s.", 1)
			_, err = r.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: snap})
			if name != "endless" { // in which the replacement is none
				wantCode(t, err, want[name])
			}
		})
	}
}

// What a tenant left behind can be deleted after it has gone from the policy.
func TestDeleteVolumeOfAGoneTenant(t *testing.T) {
	r := newRig(t)
	at := r.place(t, "acme-prod")
	id := r.create(t, blank("one")).GetVolumeId()
	r.edit(t, "name: acme", "name: other")
	_, err := r.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: id})
	wantCode(t, err, codes.NotFound)
	if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
		t.Error(err)
	}
	if left := r.ceph.Contents(at); len(left) > 0 {
		t.Errorf("left in Ceph: %v", left)
	}
}

func TestGetVolume(t *testing.T) {
	r := newRig(t)
	v := r.create(t, blank("one"))
	got, err := r.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: v.GetVolumeId()})
	if err != nil || !proto.Equal(got.GetVolume(), v) || got.GetStatus() == nil {
		t.Errorf("got %v, %v; want %v", got, err, v)
	}
	health, err := r.ControllerGetVolumeHealth(t.Context(), &csi.ControllerGetVolumeHealthRequest{VolumeId: v.GetVolumeId()})
	if err != nil || health.GetVolumeHealth().GetVolumeId() != v.GetVolumeId() || len(health.GetVolumeHealth().GetHealthStatuses()) > 0 {
		t.Errorf("health %v, %v", health, err)
	}
}

func TestExpandVolume(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	writable := r.create(t, blank("writable")).GetVolumeId()
	req := blank("readonly")
	req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
	readOnly := r.create(t, req).GetVolumeId()
	steps := []struct {
		name     string
		id       string
		size     *csi.CapacityRange
		use      *csi.VolumeCapability
		code     codes.Code
		capacity int64
		onNode   bool
	}{
		{name: "no size", id: writable, code: codes.InvalidArgument},
		{name: "size zero", id: writable, size: &csi.CapacityRange{}, code: codes.InvalidArgument},
		{name: "negative", id: writable, size: &csi.CapacityRange{RequiredBytes: -1}, code: codes.OutOfRange},
		{name: "over the largest", id: writable, size: &csi.CapacityRange{RequiredBytes: volume.MaxSize + 1}, code: codes.OutOfRange},
		{name: "limit below what it has", id: writable, size: &csi.CapacityRange{LimitBytes: mib}, code: codes.OutOfRange},
		{name: "for block", id: writable, size: &csi.CapacityRange{RequiredBytes: 8 * mib}, use: block(multiWriter), code: codes.InvalidArgument},
		{name: "for a bad mode", id: writable, size: &csi.CapacityRange{RequiredBytes: 8 * mib}, use: mounted(0), code: codes.InvalidArgument},
		{name: "to what it has", id: writable, size: &csi.CapacityRange{RequiredBytes: 4 * mib}, capacity: 4 * mib, onNode: true},
		{name: "larger", id: writable, size: &csi.CapacityRange{RequiredBytes: 5*mib - 1}, capacity: 5 * mib, onNode: true},
		{name: "again", id: writable, size: &csi.CapacityRange{RequiredBytes: 5*mib - 1}, use: mounted(multiWriter), capacity: 5 * mib, onNode: true},
		{name: "smaller", id: writable, size: &csi.CapacityRange{RequiredBytes: mib}, capacity: 5 * mib, onNode: true},
		{name: "read-only", id: readOnly, size: &csi.CapacityRange{RequiredBytes: 16 * mib}, code: codes.InvalidArgument},
		{name: "read-only to what it has", id: readOnly, size: &csi.CapacityRange{RequiredBytes: 8 * mib}, capacity: 8 * mib},
	}
	for _, tc := range steps {
		t.Run(tc.name, func(t *testing.T) {
			got, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: tc.id, CapacityRange: tc.size, VolumeCapability: tc.use})
			wantCode(t, err, tc.code)
			if got.GetCapacityBytes() != tc.capacity || got.GetNodeExpansionRequired() != tc.onNode {
				t.Errorf("answer %v, want capacity %d and node expansion %t", got, tc.capacity, tc.onNode)
			}
		})
	}
}

func TestValidateVolumeCapabilities(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	writable := r.create(t, blank("writable")).GetVolumeId()
	req := blank("readonly")
	req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
	readOnly := r.create(t, req).GetVolumeId()
	tests := map[string]struct {
		id     string
		caps   []*csi.VolumeCapability
		params map[string]string
		says   string // empty: confirmed
	}{
		"writer":             {id: writable, caps: []*csi.VolumeCapability{mounted(singleWriter)}},
		"writer and reader":  {id: writable, caps: []*csi.VolumeCapability{mounted(nodeWriter), mounted(manyReaders)}},
		"reader":             {id: readOnly, caps: []*csi.VolumeCapability{mounted(nodeReader)}},
		"its class":          {id: readOnly, caps: []*csi.VolumeCapability{mounted(manyReaders)}, params: map[string]string{"golden": "e:v1", "cluster": "main", "share": "node"}},
		"its own tenant":     {id: readOnly, caps: []*csi.VolumeCapability{mounted(manyReaders)}, params: map[string]string{"golden": "acme/e:v1"}},
		"writer of a reader": {id: readOnly, caps: []*csi.VolumeCapability{mounted(multiWriter)}, says: "read-only"},
		"block":              {id: writable, caps: []*csi.VolumeCapability{block(multiWriter)}, says: "block"},
		"file system":        {id: writable, caps: []*csi.VolumeCapability{fsType("xfs")}, says: "ext4"},
		"mode":               {id: writable, caps: []*csi.VolumeCapability{mounted(oneOfMany)}, says: "MULTI_NODE_SINGLE_WRITER"},
		"golden":             {id: readOnly, caps: []*csi.VolumeCapability{mounted(manyReaders)}, params: map[string]string{"golden": "e:v2"}, says: "e:v2"},
		"golden of a blank":  {id: writable, caps: []*csi.VolumeCapability{mounted(multiWriter)}, params: map[string]string{"golden": "e:v1"}, says: "e:v1"},
		"prefetch":           {id: writable, caps: []*csi.VolumeCapability{mounted(multiWriter)}, params: map[string]string{"prefetch": "all"}, says: "prefetch"},
		"share":              {id: writable, caps: []*csi.VolumeCapability{mounted(multiWriter)}, params: map[string]string{"share": "clone"}, says: "share"},
		"cluster":            {id: writable, caps: []*csi.VolumeCapability{mounted(multiWriter)}, params: map[string]string{"cluster": "other"}, says: "cluster"},
		"parameter":          {id: writable, caps: []*csi.VolumeCapability{mounted(multiWriter)}, params: map[string]string{"pool": "x"}, says: "pool"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := r.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{
				VolumeId: tc.id, VolumeCapabilities: tc.caps, Parameters: tc.params, VolumeContext: map[string]string{"storage.kubernetes.io/csiProvisionerIdentity": "1"},
			})
			wantCode(t, err, codes.OK)
			if confirmed := got.GetConfirmed() != nil; confirmed != (tc.says == "") || !strings.Contains(got.GetMessage(), tc.says) {
				t.Errorf("answer %v, want a message about %q", got, tc.says)
			}
			if c := got.GetConfirmed(); c != nil && (len(c.GetVolumeCapabilities()) != len(tc.caps) || len(c.GetParameters()) != len(tc.params)) {
				t.Errorf("confirmed %v, which is not what was asked", c)
			}
		})
	}
	_, err := r.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{VolumeId: writable})
	wantCode(t, err, codes.InvalidArgument)
}

func TestGetCapacity(t *testing.T) {
	r := newRig(t)
	tests := map[string]struct {
		req  *csi.GetCapacityRequest
		code codes.Code
	}{
		"the pool":          {req: &csi.GetCapacityRequest{}},
		"a tenant":          {req: &csi.GetCapacityRequest{Parameters: map[string]string{namespaceKey: "acme-prod"}}},
		"a use":             {req: &csi.GetCapacityRequest{VolumeCapabilities: []*csi.VolumeCapability{mounted(multiWriter)}}},
		"no tenant":         {req: &csi.GetCapacityRequest{Parameters: map[string]string{namespaceKey: "elsewhere"}}, code: codes.PermissionDenied},
		"unknown cluster":   {req: &csi.GetCapacityRequest{Parameters: map[string]string{"cluster": "other"}}, code: codes.InvalidArgument},
		"unknown parameter": {req: &csi.GetCapacityRequest{Parameters: map[string]string{"pool": "x"}}, code: codes.InvalidArgument},
		"a use not served":  {req: &csi.GetCapacityRequest{VolumeCapabilities: []*csi.VolumeCapability{mounted(oneOfMany)}}, code: codes.InvalidArgument},
		"an empty use":      {req: &csi.GetCapacityRequest{VolumeCapabilities: []*csi.VolumeCapability{{}}}, code: codes.InvalidArgument},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := r.GetCapacity(t.Context(), tc.req)
			wantCode(t, err, tc.code)
			if tc.code == codes.OK && (got.GetAvailableCapacity() <= 0 || got.GetMaximumVolumeSize().GetValue() != volume.MaxSize || got.GetMinimumVolumeSize().GetValue() != volume.MinSize) {
				t.Errorf("answer %v", got)
			}
		})
	}
}

// What is advertised is exactly this.
func TestCapabilities(t *testing.T) {
	r := newRig(t)
	controller, err := r.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range controller.GetCapabilities() {
		got = append(got, c.GetRpc().GetType().String())
	}
	want := strings.Fields(`CREATE_DELETE_VOLUME CREATE_DELETE_SNAPSHOT CLONE_VOLUME EXPAND_VOLUME LIST_VOLUMES
		LIST_SNAPSHOTS GET_CAPACITY GET_VOLUME GET_SNAPSHOT SINGLE_NODE_MULTI_WRITER GET_VOLUME_HEALTH`)
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("the controller advertises %v", got)
	}
	node, err := r.NodeGetCapabilities(t.Context(), &csi.NodeGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, c := range node.GetCapabilities() {
		got = append(got, c.GetRpc().GetType().String())
	}
	want = strings.Fields(`STAGE_UNSTAGE_VOLUME GET_VOLUME_STATS EXPAND_VOLUME SINGLE_NODE_MULTI_WRITER GET_VOLUME_HEALTH`)
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("the node advertises %v", got)
	}
	_, err = r.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{})
	wantCode(t, err, codes.Unimplemented)
}

// The node tells what its mapper can do, or what the admin said.
func TestNodeGetInfo(t *testing.T) {
	for name, tc := range map[string]struct{ flag, want int64 }{"mapper": {0, 1 << 16}, "flag": {7, 7}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(_ *driver.ControllerOptions, no *driver.NodeOptions) { no.MaxVolumes = tc.flag })
			got, err := r.NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
			if err != nil || got.GetNodeId() != "node-1" || got.GetMaxVolumesPerNode() != tc.want || got.GetAccessibleTopology() != nil {
				t.Errorf("answer %v, %v", got, err)
			}
		})
	}
}
