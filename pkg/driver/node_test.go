package driver_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// badPaths are paths and what a verb that makes or removes something there
// answers.
var badPaths = map[string]string{
	"none": "", "relative": "some/path", "root": "/", "root in disguise": "//./", "detour": "/var/lib/../../etc",
	"NUL": "/a\x00b", "endless": "/" + strings.Repeat("a/", 2048), "endless part": "/" + strings.Repeat("a", 256),
}

// goodPaths are paths that look bad.
var goodPaths = map[string]string{
	"other letters": "/tmp/каталог", "dots": "/tmp/..a/b..c", "spaces": "/tmp/a b\n", "at": "/tmp/a@b", "slashes": "//tmp//x/", "longest part": "/tmp/" + strings.Repeat("a", 255),
}

// Every path of every verb is checked before anything is done.
func TestNodePaths(t *testing.T) {
	r := newRig(t)
	id := r.create(t, blank("v")).GetVolumeId()
	use := mounted(multiWriter)
	verbs := map[string]func(path string) error{
		"NodeStageVolume": func(path string) error {
			req := r.stageRequest(id, use)
			req.StagingTargetPath = path
			_, err := r.NodeStageVolume(t.Context(), req)
			return err
		},
		"NodeUnstageVolume": func(path string) error {
			_, err := r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: id, StagingTargetPath: path})
			return err
		},
		"NodePublishVolume": func(path string) error {
			_, err := r.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeId: id, StagingTargetPath: "/s", TargetPath: path, VolumeCapability: use})
			return err
		},
		"NodeUnpublishVolume": func(path string) error {
			_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: path})
			return err
		},
	}
	for verb, do := range verbs {
		for name, path := range badPaths {
			t.Run(verb+"/"+name, func(t *testing.T) { wantCode(t, do(path), codes.InvalidArgument) })
		}
		for name, path := range goodPaths {
			t.Run(verb+"/"+name, func(t *testing.T) {
				if err := do(path); status.Code(err) == codes.InvalidArgument {
					t.Errorf("refused: %v", err)
				}
			})
		}
	}
}

// Unstage and Unpublish of what is not ours, or not there, are success.
func TestNodeRemovalIDs(t *testing.T) {
	r := newRig(t)
	for name, tc := range badIDs {
		t.Run(name, func(t *testing.T) {
			want := codes.OK
			if tc.text == "" {
				want = codes.InvalidArgument
			}
			_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: tc.text, TargetPath: "/t"})
			wantCode(t, err, want)
			if name == "no such cluster" {
				want = codes.FailedPrecondition
			}
			_, err = r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: tc.text, StagingTargetPath: "/s"})
			wantCode(t, err, want)
		})
	}
}

func TestNodeVolumeIDs(t *testing.T) {
	r := newRig(t)
	use := mounted(multiWriter)
	verbs := map[string]func(id string) error{
		"NodeStageVolume": func(id string) error { _, err := r.NodeStageVolume(t.Context(), r.stageRequest(id, use)); return err },
		"NodeGetVolumeStats": func(id string) error {
			_, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: "/p"})
			return err
		},
		"NodeGetVolumeHealth": func(id string) error {
			_, err := r.NodeGetVolumeHealth(t.Context(), &csi.NodeGetVolumeHealthRequest{VolumeId: id})
			return err
		},
		"NodeExpandVolume": func(id string) error {
			_, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: "/p"})
			return err
		},
	}
	for verb, do := range verbs {
		for name, tc := range badIDs {
			t.Run(verb+"/"+name, func(t *testing.T) { wantCode(t, do(tc.text), tc.code) })
		}
	}
	if left := r.host.Contents(); len(left) > 0 {
		t.Errorf("left on the host: %v", left)
	}
}

func TestNodeStageRefuses(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	writable := r.create(t, blank("writable")).GetVolumeId()
	req := blank("readonly")
	req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
	readOnly := r.create(t, req).GetVolumeId()
	r.ceph.Allow("globex", userKey, "globex")
	for name, tc := range map[string]struct {
		id     string
		change func(*csi.NodeStageVolumeRequest)
		code   codes.Code
		says   string
	}{
		"no capability":       {writable, func(r *csi.NodeStageVolumeRequest) { r.VolumeCapability = nil }, codes.InvalidArgument, "capability is missing"},
		"bad mode":            {writable, func(r *csi.NodeStageVolumeRequest) { r.VolumeCapability = mounted(0) }, codes.InvalidArgument, "UNKNOWN"},
		"block":               {writable, func(r *csi.NodeStageVolumeRequest) { r.VolumeCapability = block(multiWriter) }, codes.FailedPrecondition, "block"},
		"another file system": {writable, func(r *csi.NodeStageVolumeRequest) { r.VolumeCapability = fsType("xfs") }, codes.FailedPrecondition, "ext4"},
		"writer of a reader":  {readOnly, func(*csi.NodeStageVolumeRequest) {}, codes.FailedPrecondition, "ReadOnlyMany"},
		"dangerous option": {writable, func(r *csi.NodeStageVolumeRequest) {
			r.VolumeCapability.GetMount().MountFlags = []string{"journal_dev=8"}
		}, codes.InvalidArgument, "journal_dev"},
		"no secret":           {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets = nil }, codes.InvalidArgument, "node-stage-secret-name"},
		"no user":             {writable, func(r *csi.NodeStageVolumeRequest) { delete(r.Secrets, "userID") }, codes.InvalidArgument, "userID"},
		"no key":              {writable, func(r *csi.NodeStageVolumeRequest) { delete(r.Secrets, "userKey") }, codes.InvalidArgument, "userKey"},
		"user with client.":   {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userID"] = "client.acme" }, codes.InvalidArgument, "without «client.»"},
		"options in the user": {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userID"] = "acme,noshare" }, codes.InvalidArgument, "userID"},
		"endless user":        {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userID"] = strings.Repeat("u", 129) }, codes.InvalidArgument, "userID"},
		"user in letters":     {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userID"] = "акме" }, codes.InvalidArgument, "userID"},
		"no base64":           {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userKey"] = "not a key" }, codes.InvalidArgument, "base64"},
		"a golden's bad key":  {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["golden.public.m.v1"] = "sdp.golden:not a key" }, codes.InvalidArgument, "public/m:v1"},
		"a golden's no user":  {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["golden.public.m.v1"] = "d3Jvbmc=" }, codes.InvalidArgument, "public/m:v1"},
		"a writer's bad key": {writable, func(r *csi.NodeStageVolumeRequest) {
			r.Secrets["writerID"], r.Secrets["writerKey"] = "acme", "not a key"
		}, codes.InvalidArgument, "writerKey"},
		"key with newline": {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userKey"] += "\n" }, codes.InvalidArgument, "base64"},
		"wrong key":        {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userKey"] = "d3Jvbmc=" }, codes.PermissionDenied, "acme"},
		"another's key":    {writable, func(r *csi.NodeStageVolumeRequest) { r.Secrets["userID"] = "globex" }, codes.PermissionDenied, "globex"},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.stageRequest(tc.id, mounted(multiWriter))
			tc.change(req)
			_, err := r.NodeStageVolume(t.Context(), req)
			wantCode(t, err, tc.code)
			m := status.Convert(err).Message()
			if !strings.Contains(m, tc.says) || strings.Contains(m, userKey) || strings.Contains(m, "not a key") || strings.Contains(m, "d3Jvbmc=") {
				t.Errorf("the message does not say %q, or shows a key: %s", tc.says, m)
			}
			if left := r.host.Contents(); len(left) > 0 {
				t.Errorf("left on the host: %v", left)
			}
		})
	}
}

// A volume's whole life on a node, each step twice, leaves nothing.
func TestNodeLife(t *testing.T) {
	for name, use := range map[string]*csi.VolumeCapability{"mount": mounted(multiWriter), "block": block(multiWriter)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			req := blank("v")
			req.VolumeCapabilities[0] = use
			id := r.create(t, req).GetVolumeId()
			publish := r.publishRequest(id, "target", use)
			for range 2 {
				if _, err := r.NodeStageVolume(t.Context(), r.stageRequest(id, use)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.NodePublishVolume(t.Context(), publish); err != nil {
				t.Fatal(err)
			}
			r.looks(t, id, publish)
			r.grows(t, id, publish)
			for range 2 {
				if _, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id, TargetPath: publish.GetTargetPath()}); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				if _, err := r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: id, StagingTargetPath: publish.GetStagingTargetPath()}); err != nil {
					t.Fatal(err)
				}
			}
			if left := r.host.Contents(); len(left) > 0 {
				t.Errorf("left on the host: %v", left)
			}
		})
	}
}

// looks asks for stats and health of a published volume.
func (r *rig) looks(t *testing.T, id string, p *csi.NodePublishVolumeRequest) {
	t.Helper()
	other := r.create(t, blank("other")).GetVolumeId()
	for _, tc := range []struct {
		id, path string
		code     codes.Code
	}{
		{id, p.GetTargetPath(), codes.OK}, {id, p.GetStagingTargetPath(), codes.OK},
		{id, "", codes.InvalidArgument}, {id, "some/path", codes.NotFound}, {id, "/nothing/here", codes.NotFound},
		{id, "/a/../b", codes.InvalidArgument}, {other, p.GetTargetPath(), codes.NotFound},
	} {
		got, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: tc.id, VolumePath: tc.path})
		wantCode(t, err, tc.code)
		if tc.code == codes.OK && (len(got.GetUsage()) == 0 || got.GetUsage()[0].GetUnit() != csi.VolumeUsage_BYTES || got.GetUsage()[0].GetTotal() != 4*mib) {
			t.Errorf("usage %v", got)
		}
	}
	for _, tc := range []struct {
		req  *csi.NodeGetVolumeHealthRequest
		code codes.Code
	}{
		{&csi.NodeGetVolumeHealthRequest{VolumeId: id}, codes.OK},
		{&csi.NodeGetVolumeHealthRequest{VolumeId: id, VolumePublishPath: p.GetTargetPath()}, codes.OK},
		{&csi.NodeGetVolumeHealthRequest{VolumeId: id, StagingTargetPath: p.GetStagingTargetPath()}, codes.OK},
		{&csi.NodeGetVolumeHealthRequest{VolumeId: id, VolumePublishPath: "/not/yet/there"}, codes.OK},
		{&csi.NodeGetVolumeHealthRequest{VolumeId: id, VolumePublishPath: "relative"}, codes.InvalidArgument},
		{&csi.NodeGetVolumeHealthRequest{VolumeId: other}, codes.NotFound},
	} {
		got, err := r.NodeGetVolumeHealth(t.Context(), tc.req)
		wantCode(t, err, tc.code)
		if tc.code == codes.OK && (got.GetVolumeHealth().GetVolumeId() != id || len(got.GetVolumeHealth().GetHealthStatuses()) > 0) {
			t.Errorf("health %v", got)
		}
	}
}

// grows expands a published volume.
func (r *rig) grows(t *testing.T, id string, p *csi.NodePublishVolumeRequest) {
	t.Helper()
	size := &csi.CapacityRange{RequiredBytes: 8 * mib}
	if _, err := r.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: size}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		size *csi.CapacityRange
		use  *csi.VolumeCapability
		code codes.Code
	}{
		{path: "", code: codes.InvalidArgument},
		{path: "some/path", code: codes.NotFound},
		{path: "/nothing/here", code: codes.NotFound},
		{path: p.GetTargetPath(), size: &csi.CapacityRange{RequiredBytes: -1}, code: codes.OutOfRange},
		{path: p.GetTargetPath(), use: mounted(0), code: codes.InvalidArgument},
		{path: p.GetTargetPath(), size: size, use: p.GetVolumeCapability()},
		{path: p.GetTargetPath()},
		{path: p.GetStagingTargetPath(), size: size},
	} {
		got, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: tc.path, CapacityRange: tc.size, VolumeCapability: tc.use})
		wantCode(t, err, tc.code)
		if tc.code == codes.OK && got.GetCapacityBytes() != tc.size.GetRequiredBytes() {
			t.Errorf("answer %v", got)
		}
	}
	got, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: p.GetTargetPath()})
	if err != nil || got.GetUsage()[0].GetTotal() != 8*mib {
		t.Errorf("after the expansion: %v, %v", got, err)
	}
}

// A volume of a tenant that has gone from the policy can be unstaged.
func TestNodeUnstageOfAGoneTenant(t *testing.T) {
	r := newRig(t)
	id := r.stage(t, blank("v"))
	r.edit(t, "name: acme", "name: other")
	_, err := r.NodePublishVolume(t.Context(), r.publishRequest(id, "target", mounted(multiWriter)))
	wantCode(t, err, codes.NotFound)
	if _, err := r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: id, StagingTargetPath: filepath.Join(r.dir, "staging")}); err != nil {
		t.Fatal(err)
	}
	if left := r.host.Contents(); len(left) > 0 {
		t.Errorf("left on the host: %v", left)
	}
}

// A stage that may write uses the writing key of the secret, any other the
// reading one.
func TestNodeStageKeys(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	secrets := map[string]string{"userID": "acme", "userKey": userKey, "writerID": "gone", "writerKey": userKey}
	req := blank("readonly")
	req.Parameters["golden"], req.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
	readOnly := r.stageRequest(r.create(t, req).GetVolumeId(), mounted(manyReaders))
	readOnly.Secrets = secrets
	_, err := r.NodeStageVolume(t.Context(), readOnly)
	wantCode(t, err, codes.OK)
	writable := r.stageRequest(r.create(t, blank("writable")).GetVolumeId(), mounted(multiWriter))
	writable.Secrets, writable.StagingTargetPath = secrets, writable.GetStagingTargetPath()+"-w"
	_, err = r.NodeStageVolume(t.Context(), writable)
	wantCode(t, err, codes.PermissionDenied)
	r.ceph.Allow("gone", userKey, "acme")
	_, err = r.NodeStageVolume(t.Context(), writable)
	wantCode(t, err, codes.OK)
}

// What is missing is told before a volume that is not there, as csi-sanity
// wants it.
func TestNodeMissingFieldsFirst(t *testing.T) {
	r := newRig(t)
	use := mounted(multiWriter)
	const id = "fake-vol-id"
	for name, do := range map[string]func() error{
		"stage, no path": func() error {
			_, err := r.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{VolumeId: id, VolumeCapability: use})
			return err
		},
		"stage, no use": func() error {
			_, err := r.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{VolumeId: id, StagingTargetPath: "/s"})
			return err
		},
		"publish, no path": func() error {
			_, err := r.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeId: id, VolumeCapability: use})
			return err
		},
		"publish, no use": func() error {
			_, err := r.NodePublishVolume(t.Context(), &csi.NodePublishVolumeRequest{VolumeId: id, TargetPath: "/t"})
			return err
		},
		"unstage, no path": func() error {
			_, err := r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: id})
			return err
		},
		"unpublish, no path": func() error {
			_, err := r.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: id})
			return err
		},
		"stats, no path": func() error {
			_, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: id})
			return err
		},
		"expand, no path": func() error {
			_, err := r.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: id})
			return err
		},
		"stats, no ID": func() error {
			_, err := r.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumePath: "some/path"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, do(), codes.InvalidArgument) })
	}
}
