package driver_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	readerKey = "cmVhZGVyb2ZvbmVnb2xkZW4wMTIzNDU2Nzg5MDE="
	handle    = "csi-0123456789abcdef"
)

// newInlineRig is a driver whose node shows goldens to pods of acme, which has
// a golden, as has public.
func newInlineRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(_ *driver.ControllerOptions, o *driver.NodeOptions) {
		images := o.Stager.(*rbd.Stager).Share(rbd.Sharing{Node: "node-1"})
		o.Stager, o.Goldens = images, map[volume.Backend]driver.Goldens{volume.RBD: images}
	})
	r.edit(t, `goldens: ["public/*"]`, `goldens: ["public/*"]`+"\n  inline: true")
	r.ceph.Allow("acme-reader", readerKey, "acme", "public")
	for _, golden := range []struct{ namespace, name string }{{"acme-prod", "own:v1"}, {"public", "model:v1"}, {"globex", "secret:v1"}} {
		r.golden(t, golden.namespace, golden.name, "erofs", 8*mib)
		r.record(t, golden.namespace, golden.name, "ready")
	}
	return r
}

// record writes a golden's record, as an import would.
func (r *rig) record(t *testing.T, namespace, name, state string) {
	t.Helper()
	at := r.place(t, namespace)
	ref, err := volume.ParseGoldenRef(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := r.ceph.Snapshot(t.Context(), at, ref.Image(), volume.SealedSnapshot)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.ceph.ImageID(t.Context(), at, ref.Image())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"v":1,"state":%q,"golden":%q,"fsType":"erofs","size":%d,"imageID":%q,"snapshotID":%d}`, state, name, 8*mib, id, info.ID)
	if err := r.ceph.RemoveRecord(t.Context(), at, ref.Image()); err != nil {
		t.Fatal(err)
	}
	if err := r.ceph.CreateRecord(t.Context(), at, ref.Image(), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// inlineRequest is what a kubelet asks for a pod of acme-prod.
func (r *rig) inlineRequest(golden string) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId: handle, TargetPath: filepath.Join(r.dir, "target"), VolumeCapability: mounted(multiWriter), Readonly: true,
		VolumeContext: map[string]string{
			"csi.storage.k8s.io/ephemeral": "true", "csi.storage.k8s.io/pod.namespace": "acme-prod", "csi.storage.k8s.io/pod.name": "f",
			"csi.storage.k8s.io/pod.uid": "1", "csi.storage.k8s.io/serviceAccount.name": "default", "golden": golden,
		},
		Secrets: map[string]string{
			"userID": "acme", "userKey": userKey, "golden.acme.own.v1": "acme-reader:" + readerKey, "golden.public.model.v1": "acme-reader:" + readerKey,
		},
	}
}

func (r *rig) unpublish(t *testing.T, id string) {
	t.Helper()
	_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: filepath.Join(r.dir, "target")})
	wantCode(t, err, codes.OK)
}

// An inline volume is published and unpublished as often as the CO likes, tells
// its usage, and leaves no clone.
func TestInlineVolume(t *testing.T) {
	r := newInlineRig(t)
	images := r.ceph.Contents(r.place(t, "acme-prod"))
	for _, golden := range []string{"own:v1", "acme/own:v1", "public/model:v1"} {
		for range 2 {
			_, err := r.NodePublishVolume(t.Context(), r.inlineRequest(golden))
			wantCode(t, err, codes.OK)
		}
		target := filepath.Join(r.dir, "target")
		_, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: handle, VolumePath: target})
		wantCode(t, err, codes.OK)
		for id, path := range map[string]string{"csi-other": target, handle: target + "2", "a b": target} {
			_, err = r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: path})
			wantCode(t, err, codes.NotFound)
		}
		// A foreign ID never was published: its unpublication touches nothing.
		r.unpublish(t, "csi-other")
		if !strings.Contains(strings.Join(r.host.Contents(), "\n"), "mount "+target+" ") {
			t.Fatal("unpublished under another handle")
		}
		r.unpublish(t, handle)
		r.unpublish(t, handle)
	}
	if left := strings.Join(r.host.Contents(), "\n"); strings.Contains(left, r.dir) {
		t.Errorf("left %s", left)
	}
	for _, line := range r.ceph.Contents(r.place(t, "acme-prod")) {
		if !slices.Contains(images, line) && !strings.HasPrefix(line, "lease ") {
			t.Errorf("the tenant got %s", line)
		}
	}
}

func TestInlineRefuses(t *testing.T) {
	r := newInlineRig(t)
	for name, tc := range map[string]struct {
		change func(*csi.NodePublishVolumeRequest)
		code   codes.Code
		says   string
	}{
		"writable":            {func(r *csi.NodePublishVolumeRequest) { r.Readonly = false }, codes.InvalidArgument, "readOnly: true"},
		"block":               {func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability = block(manyReaders) }, codes.InvalidArgument, "claim"},
		"no capability":       {func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability = nil }, codes.InvalidArgument, "capability"},
		"no target":           {func(r *csi.NodePublishVolumeRequest) { r.TargetPath = "" }, codes.InvalidArgument, "target path"},
		"a detour":            {func(r *csi.NodePublishVolumeRequest) { r.TargetPath = "/pods/../etc" }, codes.InvalidArgument, "target path"},
		"no golden":           {func(r *csi.NodePublishVolumeRequest) { delete(r.VolumeContext, "golden") }, codes.InvalidArgument, "golden: resnet50:v1"},
		"no name":             {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["golden"] = "../secret" }, codes.InvalidArgument, "name:version"},
		"unknown attribute":   {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["gloden"] = "x" }, codes.InvalidArgument, `did you mean "golden"`},
		"a tenant":            {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["tenant"] = "globex" }, codes.InvalidArgument, "not known"},
		"a class's prefetch":  {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["prefetch"] = "all" }, codes.InvalidArgument, "not known"},
		"another backend":     {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["backend"] = "nfs" }, codes.InvalidArgument, "rbd or cephfs"},
		"backend not here":    {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["backend"] = "cephfs" }, codes.FailedPrecondition, "cephfs"},
		"another cluster":     {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["cluster"] = "moon" }, codes.InvalidArgument, "moon"},
		"attributes too long": {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["golden"] = strings.Repeat("g", 5000) }, codes.InvalidArgument, "limit"},
		"no pod":              {func(r *csi.NodePublishVolumeRequest) { delete(r.VolumeContext, podNamespace) }, codes.InvalidArgument, "podInfoOnMount"},
		"nobody's pod":        {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext[podNamespace] = "elsewhere" }, codes.PermissionDenied, "elsewhere"},
		"no namespace's name": {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext[podNamespace] = "acme-prod/.." }, codes.PermissionDenied, "no tenant"},
		"no right":            {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext[podNamespace] = "globex" }, codes.PermissionDenied, "inline: true"},
		"not granted":         {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["golden"] = "globex/secret:v1" }, codes.PermissionDenied, "grant it in the policy file"},
		"not there":           {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["golden"] = "public/none:v1" }, codes.PermissionDenied, "no key of golden"},
		"no secret":           {func(r *csi.NodePublishVolumeRequest) { r.Secrets = nil }, codes.InvalidArgument, "sdp-ro"},
		"half a secret":       {func(r *csi.NodePublishVolumeRequest) { delete(r.Secrets, "userKey") }, codes.InvalidArgument, "sdp-ro"},
		"no user's name":      {func(r *csi.NodePublishVolumeRequest) { r.Secrets["userID"] = "client.acme" }, codes.InvalidArgument, "userID of the node-publish secret"},
		"no key":              {func(r *csi.NodePublishVolumeRequest) { r.Secrets["userKey"] = "?" }, codes.InvalidArgument, "userKey of the node-publish secret"},
		"a wrong key":         {func(r *csi.NodePublishVolumeRequest) { r.Secrets["userKey"] = readerKey }, codes.PermissionDenied, "acme"},
		"a wrong reader":      {func(r *csi.NodePublishVolumeRequest) { r.Secrets["golden.acme.own.v1"] = "acme-reader:" + userKey }, codes.PermissionDenied, "own:v1"},
		"no reader":           {func(r *csi.NodePublishVolumeRequest) { r.Secrets["golden.acme.own.v1"] = "?" }, codes.InvalidArgument, "own:v1"},
		"no handle":           {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "" }, codes.InvalidArgument, "volume ID"},
		"a strange handle":    {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "csi:a b" }, codes.InvalidArgument, "volume ID"},
		"a volume's ID":       {func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "sdp1.rbd.main.acme." + someHash }, codes.InvalidArgument, "volume ID"},
		"not ephemeral":       {func(r *csi.NodePublishVolumeRequest) { r.VolumeContext["csi.storage.k8s.io/ephemeral"] = "false" }, codes.NotFound, "not made by this driver"},
		"a harmful option":    {func(r *csi.NodePublishVolumeRequest) { r.VolumeCapability.GetMount().MountFlags = []string{"suid"} }, codes.InvalidArgument, "suid"},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.inlineRequest("own:v1")
			tc.change(req)
			_, err := r.NodePublishVolume(t.Context(), req)
			wantCode(t, err, tc.code)
			if s := status.Convert(err).Message(); !strings.Contains(s, tc.says) || strings.Contains(s, userKey) || strings.Contains(s, readerKey) {
				t.Errorf("says %q, want %q", s, tc.says)
			}
		})
	}
	for state, says := range map[string]string{"creating": "not sealed", "retired": "retired", "deleted": "deleted"} {
		r.record(t, "acme-prod", "own:v1", state)
		_, err := r.NodePublishVolume(t.Context(), r.inlineRequest("own:v1"))
		wantCode(t, err, codes.NotFound)
		if s := status.Convert(err).Message(); !strings.Contains(s, says) {
			t.Errorf("%s: says %q", state, s)
		}
	}
	if strings.Contains(strings.Join(r.host.Contents(), "\n"), "target") {
		t.Errorf("the host has %q", r.host.Contents())
	}
	if strings.Contains(r.logs.String(), userKey) || strings.Contains(r.logs.String(), readerKey) {
		t.Error("a key is in the log")
	}
}

const podNamespace = "csi.storage.k8s.io/pod.namespace"

// A forged tenant's key does not open another tenant's golden, mapped or not.
func TestInlineStolenKey(t *testing.T) {
	r := newInlineRig(t)
	r.edit(t, "- name: globex", "  inline: true\n- name: globex\n  goldens: [\"public/*\"]\n  inline: true")
	r.ceph.Allow("globex", userKey, "globex")
	_, err := r.NodePublishVolume(t.Context(), r.inlineRequest("public/model:v1"))
	wantCode(t, err, codes.OK)
	req := r.inlineRequest("public/model:v1")
	req.VolumeId, req.TargetPath = "csi-2", req.GetTargetPath()+"2"
	req.VolumeContext[podNamespace], req.Secrets["userID"] = "globex", "globex"
	_, err = r.NodePublishVolume(t.Context(), req)
	wantCode(t, err, codes.PermissionDenied)
	// With acme's keys in its hands it gets what the policy lets it have.
	req.Secrets["userID"] = "acme"
	for golden, code := range map[string]codes.Code{"acme/own:v1": codes.PermissionDenied, "own:v1": codes.PermissionDenied} {
		req.VolumeContext["golden"] = golden
		_, err = r.NodePublishVolume(t.Context(), req)
		wantCode(t, err, code)
	}
}
