package driver_test

import (
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func TestCreateSnapshot(t *testing.T) {
	r := newRig(t)
	v, w := r.create(t, blank("v")).GetVolumeId(), r.create(t, blank("w")).GetVolumeId()
	s := r.snapshot(t, "snap", v)
	if s.GetSourceVolumeId() != v || s.GetSizeBytes() != 4*mib || !s.GetReadyToUse() || s.GetCreationTime().AsTime().IsZero() {
		t.Errorf("snapshot %v", s)
	}
	if again := r.snapshot(t, "snap", v); !proto.Equal(again, s) {
		t.Errorf("the retry answers %v, not %v", again, s)
	}
	got, err := r.GetSnapshot(t.Context(), &csi.GetSnapshotRequest{SnapshotId: s.GetSnapshotId()})
	if err != nil || !proto.Equal(got.GetSnapshot(), s) {
		t.Errorf("GetSnapshot gives %v, %v", got, err)
	}
	r.snapshot(t, strings.Repeat("n", 128), v)
	r.snapshot(t, "снимок/../a@b", v)
	for name, tc := range map[string]struct {
		req  *csi.CreateSnapshotRequest
		code codes.Code
	}{
		"another source":    {&csi.CreateSnapshotRequest{Name: "snap", SourceVolumeId: w}, codes.AlreadyExists},
		"no name":           {&csi.CreateSnapshotRequest{SourceVolumeId: v}, codes.InvalidArgument},
		"name too long":     {&csi.CreateSnapshotRequest{Name: strings.Repeat("n", 129), SourceVolumeId: v}, codes.InvalidArgument},
		"NUL in the name":   {&csi.CreateSnapshotRequest{Name: "a\x00", SourceVolumeId: v}, codes.InvalidArgument},
		"no source":         {&csi.CreateSnapshotRequest{Name: "x"}, codes.InvalidArgument},
		"unknown parameter": {&csi.CreateSnapshotRequest{Name: "x", SourceVolumeId: v, Parameters: map[string]string{"pool": "x"}}, codes.InvalidArgument},
		"endless parameter": {&csi.CreateSnapshotRequest{Name: "x", SourceVolumeId: v, Parameters: map[string]string{"csi.storage.k8s.io/x": strings.Repeat("v", 4096)}}, codes.InvalidArgument},
		"topology":          {&csi.CreateSnapshotRequest{Name: "x", SourceVolumeId: v, AccessibilityRequirements: &csi.TopologyRequirement{Preferred: []*csi.Topology{{}}}}, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.CreateSnapshot(t.Context(), tc.req)
			wantCode(t, err, tc.code)
		})
	}
}

func TestGetSnapshotIDs(t *testing.T) {
	r := newRig(t)
	for id, code := range map[string]codes.Code{
		"": codes.InvalidArgument, "foreign": codes.NotFound, "sdp1s.rbd.main.acme." + someHash: codes.NotFound,
		"sdp1.rbd.main.acme." + someHash: codes.NotFound, "sdp1s.cephfs.main.acme." + someHash: codes.NotFound,
	} {
		_, err := r.GetSnapshot(t.Context(), &csi.GetSnapshotRequest{SnapshotId: id})
		wantCode(t, err, code)
	}
}

// A volume with snapshots can be deleted, its snapshots be used, and when the
// last is gone, nothing is left.
func TestSnapshotsOutliveTheirVolume(t *testing.T) {
	r := newRig(t)
	v := r.create(t, blank("v")).GetVolumeId()
	s := r.snapshot(t, "snap", v).GetSnapshotId()
	if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v}); err != nil {
		t.Fatal(err)
	}
	req := blank("copy")
	req.VolumeContentSource = fromSnapshot(s)
	c := r.create(t, req).GetVolumeId()
	for range 2 {
		if _, err := r.DeleteSnapshot(t.Context(), &csi.DeleteSnapshotRequest{SnapshotId: s}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: c}); err != nil {
		t.Fatal(err)
	}
	if left := r.ceph.Contents(r.place(t, "acme-prod")); len(left) > 0 {
		t.Errorf("left in Ceph: %v", left)
	}
}
