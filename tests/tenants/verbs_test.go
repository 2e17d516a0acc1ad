package tenants

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// attempt is a request that crosses the wall, and the answers that it may get.
type attempt struct {
	send func(context.Context) error
	want []codes.Code
}

// TestVerbsAcrossTenants sends every request of CSI to a real node on which
// functions of A and B run, with A's keys, pods and IDs in the place of B's and
// the other way round. Nothing of either changes, and both go on.
func TestVerbsAcrossTenants(t *testing.T) {
	t.Run(string(volume.RBD), func(t *testing.T) {
		s := newScene(t)
		s.crossVerbs(volume.RBD, s.seed)
	})
	t.Run(string(volume.CephFS), func(t *testing.T) {
		s := newFilesScene(t)
		s.crossVerbs(volume.CephFS, s.seed)
	})
}

func (s *scene) crossVerbs(backend volume.Backend, seed func(owner, ref string) volume.GoldenRef) {
	t := s.t
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under(s.public + "/" + granted)
	seed(s.public, granted)
	n := newNode(s, "--cephfs-mounter=fuse")
	running := map[string][3]*pod{}
	for _, owner := range []string{s.a, s.b} {
		golden, in := s.public+"/"+granted, string(backend)
		running[owner] = [3]*pod{
			n.pod(owner, "shared "+owner, golden, "backend", in).start(), n.pod(owner, "clone "+owner, golden, "backend", in, "share", "clone").start(),
			n.pod(owner, "written "+owner, "", "backend", in).start(),
		}
		must(t, running[owner][2].writes("file"))
	}
	snapshots := map[string]string{}
	for owner, pods := range running {
		resp, err := n.volumes.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "of " + owner, SourceVolumeId: pods[2].id})
		must(t, err)
		snapshots[owner] = resp.GetSnapshot().GetSnapshotId()
	}
	before := map[string]string{s.a: s.settled(s.a), s.b: s.settled(s.b)}
	for _, c := range []struct{ who, whose string }{{s.a, s.b}, {s.b, s.a}} {
		for i, theirs := range running[c.whose] {
			n.cross(running[c.who][i], theirs, snapshots[c.whose])
		}
	}
	for owner, was := range before {
		if now := s.settled(owner); now != was {
			t.Errorf("%s has other data than before:\n%s\nbefore:\n%s", owner, now, was)
		}
		for _, p := range running[owner] {
			name := map[bool]string{true: "model", false: "file"}[p.readOnly]
			if err := p.reads(name); err != nil {
				t.Errorf("the function of %s does not go on: %v", p.id, err)
			}
		}
	}
}

// settled is a tenant's contents without what a file system writes by itself
// while it is mounted.
func (s *scene) settled(name string) string {
	s.t.Helper()
	lines := strings.Split(s.contents(name), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "rbd_data.") || strings.HasPrefix(line, "rbd_object_map.")
	}), "\n")
}

// cross sends all requests about what is theirs that whoever has mine, and all
// that its tenant has, could have sent.
func (n *node) cross(mine, theirs *pod, snapshot string) {
	n.t.Helper()
	for verb, a := range n.attempts(mine, theirs, snapshot) {
		err := a.send(n.t.Context())
		met := false
		for _, code := range a.want {
			met = met || codeOf(err) == code
		}
		if !met {
			n.t.Errorf("%s of %s by %s: %v, want one of %v", verb, theirs.id, mine.owner, err, a.want)
		}
	}
}

// edited is an ID of theirs that names my tenant, and mine one that names
// theirs: neither is there.
func edited(id string, from, to string) string {
	return strings.Replace(id, "."+from+".", "."+to+".", 1)
}

func (n *node) attempts(mine, theirs *pod, snapshot string) map[string]attempt {
	denied, absent, done := []codes.Code{codes.PermissionDenied}, []codes.Code{codes.NotFound}, []codes.Code{codes.OK}
	unmet, refused := []codes.Code{codes.FailedPrecondition}, []codes.Code{codes.PermissionDenied, codes.NotFound}
	asMine, asTheirs := edited(theirs.id, theirs.owner, mine.owner), edited(mine.id, mine.owner, theirs.owner)
	all := map[string]attempt{
		"stage with my keys":               {n.stager(theirs.id, theirs.staging, mine, mine.secrets), denied},
		"stage elsewhere with my keys":     {n.stager(theirs.id, n.elsewhere(mine), mine, mine.secrets), denied},
		"stage with their name and my key": {n.stager(theirs.id, theirs.staging, mine, mixed(mine, theirs)), denied},
		"stage with a golden's key":        {n.stager(theirs.id, theirs.staging, mine, asGolden(mine)), denied},
		"stage an edited ID":               {n.stager(asMine, n.elsewhere(mine), mine, mine.secrets), absent},
		"stage an ID edited to theirs":     {n.stager(asTheirs, n.elsewhere(mine), mine, mine.secrets), refused},
		"publish to my pod":                {n.publisher(theirs.id, theirs.staging, mine, mine.owner), denied},
		"publish to nobody's pod":          {n.publisher(theirs.id, theirs.staging, mine, "default"), denied},
		"publish without a pod":            {n.publisher(theirs.id, theirs.staging, mine, ""), denied},
		"publish an ID edited to theirs":   {n.publisher(asTheirs, theirs.staging, mine, mine.owner), denied},
		"publish an edited ID to my pod":   {n.publisher(asMine, theirs.staging, mine, mine.owner), unmet},
		"publish mine from their staging":  {n.publisher(mine.id, theirs.staging, mine, mine.owner), unmet},
	}
	n.addNode(all, mine, theirs, asMine, absent)
	n.addController(all, mine, snapshot, asMine, asTheirs, absent, denied, done)
	return all
}

// addNode adds requests about where a volume is shown.
func (n *node) addNode(all map[string]attempt, mine, theirs *pod, asMine string, absent []codes.Code) {
	for verb, id := range map[string]string{"my ID at their path": mine.id, "an edited ID at their path": asMine} {
		all["stats of "+verb] = attempt{func(ctx context.Context) error {
			_, err := n.mounts.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: theirs.target})
			return err
		}, absent}
		all["expand "+verb] = attempt{func(ctx context.Context) error {
			_, err := n.mounts.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{VolumeId: id, VolumePath: theirs.target})
			return err
		}, absent}
	}
}

// addController adds requests about IDs that are edited, and copies of what is
// theirs.
func (n *node) addController(all map[string]attempt, mine *pod, snapshot, asMine, asTheirs string, absent, denied, done []codes.Code) {
	theirOwner, c := tenantOf(asTheirs), n.volumes
	for verb, id := range map[string]string{"an edited ID": asMine, "an ID edited to theirs": asTheirs} {
		all["delete "+verb] = attempt{func(ctx context.Context) error {
			_, err := c.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
			return err
		}, done}
		all["get "+verb] = attempt{func(ctx context.Context) error {
			_, err := c.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: id})
			return err
		}, absent}
		all["expand "+verb] = attempt{func(ctx context.Context) error {
			_, err := c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30}})
			return err
		}, absent}
		all["validate "+verb] = attempt{func(ctx context.Context) error {
			_, err := c.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeId: id, VolumeCapabilities: blankMount})
			return err
		}, absent}
		all["snapshot "+verb] = attempt{func(ctx context.Context) error {
			_, err := c.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: "stolen", SourceVolumeId: id})
			return err
		}, absent}
	}
	create := func(r *csi.CreateVolumeRequest) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.CreateVolume(ctx, r); return err }
	}
	stolen := func() *csi.CreateVolumeRequest {
		r := creation(mine.owner, "stolen", "")
		r.Parameters["backend"] = strings.Split(asMine, ".")[1]
		return r
	}
	theirs := edited(asMine, mine.owner, theirOwner)
	all["copy"] = attempt{create(fromVolume(stolen(), theirs)), denied}
	all["restore"] = attempt{create(fromSnapshot(stolen(), snapshot)), denied}
	all["copy an edited ID"] = attempt{create(fromVolume(stolen(), asMine)), absent}
	all["restore an edited ID"] = attempt{create(fromSnapshot(stolen(), edited(snapshot, theirOwner, mine.owner))), absent}
	all["delete an edited snapshot"] = attempt{func(ctx context.Context) error {
		_, err := c.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: edited(snapshot, theirOwner, mine.owner)})
		return err
	}, done}
	all["list an edited ID's snapshots"] = attempt{func(ctx context.Context) error {
		got, err := c.ListSnapshots(ctx, &csi.ListSnapshotsRequest{SourceVolumeId: asMine})
		if len(got.GetEntries()) > 0 {
			n.t.Errorf("an edited ID has the snapshots %v", got.GetEntries())
		}
		return err
	}, done}
}

func tenantOf(id string) string { return strings.Split(id, ".")[3] }

func (n *node) stager(id, staging string, like *pod, secrets map[string]string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := n.mounts.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{
			VolumeId: id, StagingTargetPath: staging, VolumeCapability: like.capability(), Secrets: secrets,
			VolumeContext: map[string]string{"tenant": like.owner, "image": id, "golden": n.public + "/" + granted},
		})
		return err
	}
}

func (n *node) publisher(id, staging string, to *pod, namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		target := filepath.Join(n.dir, "pods", to.owner, "stolen", "mount")
		_, err := n.mounts.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
			VolumeId: id, StagingTargetPath: staging, TargetPath: target, VolumeCapability: to.capability(), Readonly: to.readOnly,
			VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": namespace},
		})
		return err
	}
}

// elsewhere is a staging directory at which nothing is staged.
func (n *node) elsewhere(p *pod) string {
	dir := filepath.Join(n.dir, "staging", p.owner, "elsewhere")
	must(n.t, os.MkdirAll(dir, 0o755))
	return dir
}

// mixed are their users with my keys.
func mixed(mine, theirs *pod) map[string]string {
	secrets := maps.Clone(mine.secrets)
	secrets[tenant.FieldReaderUser], secrets[tenant.FieldWriterUser] = theirs.secrets[tenant.FieldReaderUser], theirs.secrets[tenant.FieldWriterUser]
	return secrets
}

// asGolden is the golden's reader in the place of a tenant's.
func asGolden(p *pod) map[string]string {
	for field, value := range p.secrets {
		if strings.HasPrefix(field, "golden.") {
			user, key, _ := strings.Cut(value, ":")
			return map[string]string{tenant.FieldReaderUser: user, tenant.FieldReaderKey: key, field: value}
		}
	}
	return nil
}
