package driver_test

import (
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

func TestNodePublishRefuses(t *testing.T) {
	r := newRig(t)
	id := r.stage(t, blank("v"))
	for name, tc := range map[string]struct {
		change func(*csi.NodePublishVolumeRequest)
		code   codes.Code
	}{
		"no ID":              {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "" }, codes.InvalidArgument},
		"foreign ID":         {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "foreign" }, codes.NotFound},
		"no such tenant":     {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "sdp1.rbd.main.nobody." + someHash }, codes.NotFound},
		"no capability":      {func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability = nil }, codes.InvalidArgument},
		"bad mode":           {func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability = mounted(oneOfMany) }, codes.InvalidArgument},
		"no staging path":    {func(r *csi.NodePublishVolumeRequest) { r.StagingTargetPath = "" }, codes.FailedPrecondition},
		"bad staging path":   {func(r *csi.NodePublishVolumeRequest) { r.StagingTargetPath = "staging" }, codes.InvalidArgument},
		"not staged there":   {func(r *csi.NodePublishVolumeRequest) { r.StagingTargetPath += "-x" }, codes.FailedPrecondition},
		"target is staging":  {func(r *csi.NodePublishVolumeRequest) { r.TargetPath = r.GetStagingTargetPath() }, codes.InvalidArgument},
		"target in staging":  {func(r *csi.NodePublishVolumeRequest) { r.TargetPath = r.GetStagingTargetPath() + "/x" }, codes.InvalidArgument},
		"another's pod":      {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext = podOf("globex") }, codes.PermissionDenied},
		"nobody's pod":       {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext = podOf("elsewhere") }, codes.PermissionDenied},
		"the tenant's pod":   {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext = podOf("acme-dev") }, codes.OK},
		"no pod information": {func(*csi.NodePublishVolumeRequest) {}, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.publishRequest(id, "target", mounted(multiWriter))
			tc.change(req)
			_, err := r.NodePublishVolume(t.Context(), req)
			wantCode(t, err, tc.code)
		})
	}
}

func podOf(namespace string) map[string]string {
	return map[string]string{"csi.storage.k8s.io/pod.namespace": namespace}
}

// What a second publication of a volume answers (CSI spec, NodePublishVolume,
// the table for SINGLE_NODE_MULTI_WRITER).
func TestNodePublishAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		mode  csi.VolumeCapability_AccessMode_Mode
		other codes.Code // at another target
	}{
		"single writer":  {singleWriter, codes.FailedPrecondition},
		"node writer":    {nodeWriter, codes.FailedPrecondition},
		"multiple":       {multiWriter, codes.OK},
		"reader":         {nodeReader, codes.FailedPrecondition},
		"many readers":   {manyReaders, codes.OK},
		"block, writers": {manyWriters, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			req, use := blank("v"), mounted(tc.mode)
			if tc.mode == manyWriters {
				use = block(tc.mode)
				req.VolumeCapabilities[0] = use
			}
			id := r.create(t, req).GetVolumeId()
			staged := use
			if tc.mode == nodeReader || tc.mode == manyReaders {
				staged = mounted(multiWriter) // else a blank volume would have no file system
			}
			if _, err := r.NodeStageVolume(t.Context(), r.stageRequest(id, staged)); err != nil {
				t.Fatal(err)
			}
			first := r.publishRequest(id, "a", use)
			for range 2 {
				_, err := r.NodePublishVolume(t.Context(), first)
				wantCode(t, err, codes.OK)
			}
			_, err := r.NodePublishVolume(t.Context(), r.publishRequest(id, "b", use))
			wantCode(t, err, tc.other)
			if tc.mode == multiWriter {
				changed := r.publishRequest(id, "a", use)
				changed.Readonly = true
				_, err = r.NodePublishVolume(t.Context(), changed)
				wantCode(t, err, codes.AlreadyExists)
			}
		})
	}
}

// A block volume that can be written cannot be shown read-only.
func TestNodePublishBlock(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	req := blank("writable")
	req.VolumeCapabilities[0] = block(multiWriter)
	id := r.stage(t, req)
	readOnly := r.publishRequest(id, "ro", block(multiWriter))
	readOnly.Readonly = true
	_, err := r.NodePublishVolume(t.Context(), readOnly)
	wantCode(t, err, codes.FailedPrecondition)
	_, err = r.NodePublishVolume(t.Context(), r.publishRequest(id, "rw", block(multiWriter)))
	wantCode(t, err, codes.OK)

	r = newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	req = blank("readonly")
	req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", block(manyReaders)
	readOnly = r.publishRequest(r.stage(t, req), "ro", block(manyReaders))
	readOnly.Readonly = true
	_, err = r.NodePublishVolume(t.Context(), readOnly)
	wantCode(t, err, codes.OK)
}
