package driver_test

import (
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// inFiles is a valid CreateVolume request for a volume of backend cephfs.
func inFiles(name string) *csi.CreateVolumeRequest {
	r := blank(name)
	r.Parameters["backend"] = "cephfs"
	return r
}

// tree puts a sealed golden of acme that is a directory of files on the shelf.
func (r *rig) tree(t *testing.T, name string, size int64) {
	t.Helper()
	at := r.place(t, "acme-prod")
	ref, err := volume.ParseGoldenRef("acme/" + name)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := r.files.CreateSubvolume(t.Context(), at, ref.Image(), size)
	if err != nil {
		t.Fatal(err)
	}
	r.files.Fill(at, ref.Image(), "weights")
	if err := r.files.CreateSnapshot(t.Context(), at, ref.Image(), volume.SealedSnapshot); err != nil {
		t.Fatal(err)
	}
	r.shelf[ref.String()] = volume.Golden{Ref: ref, State: volume.GoldenReady, FsType: "cephfs", Size: size, ImageID: directory}
}

// What a file system cannot be is refused before anything is made, and what it
// alone can be is served.
func TestCephFSCapabilities(t *testing.T) {
	r := newRig(t)
	r.tree(t, "m:v1", 8*mib)
	before := strings.Join(r.files.Contents(r.place(t, "acme-prod")), "\n")
	for name, tc := range map[string]struct {
		change func(*csi.CreateVolumeRequest)
		says   string // empty: served
	}{
		"blank":            {func(*csi.CreateVolumeRequest) {}, ""},
		"many writers":     {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(manyWriters) }, ""},
		"its own name":     {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType("cephfs") }, ""},
		"block":            {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block(singleWriter) }, "no block volumes"},
		"another type":     {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType("ext4") }, "leave fsType out"},
		"one writer":       {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(oneOfMany) }, "MULTI_NODE_SINGLE_WRITER"},
		"readers, no data": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(manyReaders) }, "golden"},
		"readers": {func(r *csi.CreateVolumeRequest) {
			r.Parameters["golden"], r.VolumeCapabilities[0] = "m:v1", mounted(manyReaders)
		}, ""},
		"a writer's copy": {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "m:v1" }, ""},
		"volume of RBD":   {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromVolume("sdp1.rbd.main.acme." + someHash) }, "backend rbd"},
		"its type with RBD": {func(r *csi.CreateVolumeRequest) {
			r.Parameters["backend"], r.VolumeCapabilities[0] = "rbd", fsType("cephfs")
		}, "backend cephfs"},
	} {
		t.Run(name, func(t *testing.T) {
			req := inFiles("v")
			tc.change(req)
			v, err := r.CreateVolume(t.Context(), req)
			if tc.says != "" {
				wantCode(t, err, codes.InvalidArgument)
				if m := status.Convert(err).Message(); !strings.Contains(m, tc.says) {
					t.Errorf("the message does not say %q: %s", tc.says, m)
				}
			} else {
				wantCode(t, err, codes.OK)
				if again := r.create(t, req); again.String() != v.GetVolume().String() {
					t.Errorf("the retry answers %v, not %v", again, v.GetVolume())
				}
				_, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v.GetVolume().GetVolumeId()})
				wantCode(t, err, codes.OK)
			}
			if after := strings.Join(r.files.Contents(r.place(t, "acme-prod")), "\n"); after != before {
				t.Errorf("left in Ceph:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// A cluster without a file system is told what its row lacks.
func TestCephFSNeedsAFileSystem(t *testing.T) {
	r := newRig(t)
	r.edit(t, "fileSystem: cephfs", "")
	_, creation := r.CreateVolume(t.Context(), inFiles("v"))
	_, capacity := r.GetCapacity(t.Context(), &csi.GetCapacityRequest{Parameters: map[string]string{"backend": "cephfs"}})
	for _, err := range []error{creation, capacity} {
		wantCode(t, err, codes.InvalidArgument)
		if m := status.Convert(err).Message(); !strings.Contains(m, "fileSystem: NAME") || !strings.Contains(m, "cluster main") {
			t.Errorf("the message does not say what to write: %s", m)
		}
	}
}

// One driver serves both backends: an ID leads to its own, a list has all.
func TestTwoBackends(t *testing.T) {
	r := newRig(t)
	image, files := r.create(t, blank("v")), r.create(t, inFiles("v"))
	if image.GetVolumeId() == files.GetVolumeId() {
		t.Fatalf("both volumes are %s", image.GetVolumeId())
	}
	snap := r.snapshot(t, "s", files.GetVolumeId())
	got := map[string]bool{}
	for token := ""; ; {
		page, err := r.ListVolumes(t.Context(), &csi.ListVolumesRequest{MaxEntries: 1, StartingToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			got[e.GetVolume().GetVolumeId()] = true
		}
		if token = page.GetNextToken(); token == "" {
			break
		}
	}
	if len(got) != 2 || !got[image.GetVolumeId()] || !got[files.GetVolumeId()] {
		t.Errorf("listed %v", got)
	}
	grown, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: files.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: 9 * mib}})
	if err != nil || grown.GetCapacityBytes() != 9*mib || grown.GetNodeExpansionRequired() {
		t.Errorf("expanded: %v, %v; a quota is no node's business", grown, err)
	}
	list, err := r.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{SourceVolumeId: files.GetVolumeId()})
	if err != nil || len(list.GetEntries()) != 1 || list.GetEntries()[0].GetSnapshot().GetSnapshotId() != snap.GetSnapshotId() {
		t.Errorf("snapshots: %v, %v", list, err)
	}
}

// What was made for many writers can be used by one, and what RBD made cannot
// be used by many.
func TestValidateManyWriters(t *testing.T) {
	r := newRig(t)
	for id, says := range map[string]string{
		r.create(t, inFiles("v")).GetVolumeId(): "",
		r.create(t, blank("v")).GetVolumeId():   "one writing node",
	} {
		params := map[string]string{"backend": strings.Split(id, ".")[1]}
		got, err := r.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{
			VolumeId: id, VolumeCapabilities: []*csi.VolumeCapability{mounted(manyWriters)}, Parameters: params,
		})
		wantCode(t, err, codes.OK)
		if confirmed := got.GetConfirmed() != nil; confirmed != (says == "") || !strings.Contains(got.GetMessage(), says) {
			t.Errorf("%s: %v", id, got)
		}
	}
}
