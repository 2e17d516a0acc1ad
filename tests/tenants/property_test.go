package tenants

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// seeds are of the sequences that are played.
var seeds = [...]uint64{1, 2, 3, 4}

// player sends what a tenant's users can make Kubernetes send, in any order,
// about whatever IDs it has or can make up.
type player struct {
	*house
	dice           *rand.Rand
	ids, snapshots []string // its own, another tenant's and forged ones
	theirs         []string // what there is of B
}

// TestSequencesLeaveOthersAlone plays random sequences of requests by A. None
// may change what B has: objects, bytes, users and keys.
func TestSequencesLeaveOthersAlone(t *testing.T) {
	s := newScene(t)
	s.seed(s.public, granted)
	h := newHouse(s)
	theirs := h.make(creation(s.b, "theirs", ""))
	resp, err := h.server.controller.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "theirs", SourceVolumeId: theirs})
	must(t, err)
	taken := resp.GetSnapshot().GetSnapshotId()
	before := s.contents(s.b)
	for _, seed := range seeds {
		p := &player{
			house: h, dice: rand.New(rand.NewPCG(seed, 0)), theirs: []string{theirs, taken},
			ids: []string{theirs}, snapshots: []string{taken},
		}
		var played []string
		for range 40 {
			played = append(played, p.play())
		}
		if after := s.contents(s.b); after != before {
			t.Fatalf("seed %d: B has other data than before:\n%s\nbefore:\n%s\nafter\n%s", seed, after, before, strings.Join(played, "\n"))
		}
		made := 0
		for _, line := range played {
			if strings.HasSuffix(line, ": OK") && !strings.HasPrefix(line, "edit ") {
				made++
			}
		}
		if made == 0 {
			t.Errorf("seed %d: no request succeeded, which shows nothing", seed)
		}
	}
}

func (p *player) any(ids []string) string { return ids[p.dice.IntN(len(ids))] }

// mute is any ID but those of what B has. Deleting and its like name no
// requester: who may ask for them Kubernetes alone decides. IDs that are edited
// to name B are among them.
func (p *player) mute(ids []string) string {
	for {
		id := p.any(ids)
		if !slices.Contains(p.theirs, id) {
			return id
		}
		ids = append(slices.Clone(ids), p.forge(id)...)
	}
}

// forge edits the tenant of an ID.
func (p *player) forge(id string) []string {
	return []string{
		strings.Replace(id, "."+p.a+".", "."+p.b+".", 1), strings.Replace(id, "."+p.b+".", "."+p.a+".", 1),
		strings.Replace(id, "."+p.a+".", "."+p.public+".", 1),
	}
}

// play sends one request.
func (p *player) play() string {
	verbs := []func(context.Context) (string, error){
		p.create, p.createFromGolden, p.copy, p.restore, p.remove, p.takeSnapshot, p.removeSnapshot, p.expand, p.stage, p.publish, p.ask, p.edit,
	}
	what, err := verbs[p.dice.IntN(len(verbs))](p.t.Context())
	return what + ": " + codeOf(err).String()
}

func (p *player) name() string { return fmt.Sprint("v", p.dice.IntN(6)) }

func (p *player) create(ctx context.Context) (string, error) {
	name := p.name()
	resp, err := p.server.controller.CreateVolume(ctx, creation(p.a, name, ""))
	if err == nil {
		p.ids = append(p.ids, resp.GetVolume().GetVolumeId())
	}
	return "create " + name, err
}

func (p *player) createFromGolden(ctx context.Context) (string, error) {
	name, golden := p.name(), p.any([]string{p.public + "/" + granted, p.public + "/" + private, p.b + "/" + granted})
	_, err := p.server.controller.CreateVolume(ctx, creation(p.a, "g"+name, golden))
	return "create " + name + " from " + golden, err
}

func (p *player) copy(ctx context.Context) (string, error) {
	id := p.any(p.ids)
	_, err := p.server.controller.CreateVolume(ctx, fromVolume(creation(p.a, "c"+p.name(), ""), id))
	return "copy " + id, err
}

func (p *player) restore(ctx context.Context) (string, error) {
	id := p.any(p.snapshots)
	_, err := p.server.controller.CreateVolume(ctx, fromSnapshot(creation(p.a, "r"+p.name(), ""), id))
	return "restore " + id, err
}

func (p *player) remove(ctx context.Context) (string, error) {
	id := p.mute(p.ids)
	_, err := p.server.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
	return "delete " + id, err
}

func (p *player) takeSnapshot(ctx context.Context) (string, error) {
	id := p.mute(p.ids)
	resp, err := p.server.controller.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: "s" + p.name(), SourceVolumeId: id})
	if err == nil {
		p.snapshots = append(p.snapshots, resp.GetSnapshot().GetSnapshotId())
	}
	return "snapshot " + id, err
}

func (p *player) removeSnapshot(ctx context.Context) (string, error) {
	id := p.mute(p.snapshots)
	_, err := p.server.controller.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: id})
	return "delete " + id, err
}

func (p *player) expand(ctx context.Context) (string, error) {
	id := p.mute(p.ids)
	_, err := p.server.controller.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: 16 << 20}})
	return "expand " + id, err
}

func (p *player) stage(ctx context.Context) (string, error) {
	id := p.any(p.ids)
	_, err := p.server.node.NodeStageVolume(ctx, stage(id, p.keys(p.a).Fields()))
	return "stage " + id, err
}

func (p *player) publish(ctx context.Context) (string, error) {
	id := p.any(p.ids)
	_, err := p.server.node.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: id, StagingTargetPath: "/nowhere/staging", TargetPath: "/nowhere/target", VolumeCapability: blankMount[0],
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": p.a},
	})
	return "publish " + id, err
}

func (p *player) ask(ctx context.Context) (string, error) {
	id := p.any(p.ids)
	_, err := p.server.controller.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: id})
	return "get " + id, err
}

func (p *player) edit(context.Context) (string, error) {
	id, snapshot := p.any(p.ids), p.any(p.snapshots)
	p.ids, p.snapshots = append(p.ids, p.forge(id)...), append(p.snapshots, p.forge(snapshot)...)
	return "edit " + id + " and " + snapshot, nil
}
