//go:build krbd

package inside

import (
	"os"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// TestShared shows two volumes by one device of their golden, goes on with a
// new driver in between, and takes the device away after the last.
func TestShared(t *testing.T) {
	n := newNode(t)
	n.check("stage both", func(n *node) {
		n.stage(scene.SharedA, scene.Reader, n.withGoldensKey)
		n.stage(scene.SharedB, scene.Reader, n.withGoldensKey)
	})
	n.check("one device, of the golden", (*node).hasGoldensDevice)
	n.check("an overlay for each", func(n *node) {
		for _, role := range []string{scene.SharedA, scene.SharedB} {
			if m := n.device(role); m != (volume.Mount{Device: n.id(role).String(), FsType: volume.OverlayType, ReadOnly: true}) {
				n.t.Errorf("%s is mounted as %+v", role, m)
			}
			n.readsFiles(role)
			n.refusesFiles(role)
		}
	})
	n.stager = rbd.NewStager(handedOver{n.scene}, n.mapper, n.host, unmeasured{})
	n.check("unstage one", func(n *node) {
		n.unstage(scene.SharedA)
		n.readsFiles(scene.SharedB)
		n.hasGoldensDevice()
	})
	n.check("sweep beside the other", func(n *node) {
		if err := n.stager.Sweep(n.t.Context()); err != nil {
			n.t.Fatal(err)
		}
		n.readsFiles(scene.SharedB)
	})
	n.check("unstage the other", func(n *node) { n.unstage(scene.SharedB); n.isEmpty("unstaged"); n.hasNoGolden() })
}

// withGoldensKey adds a key of the golden's reader, without which it is not
// shared. The scene's reader stands for that one too.
func (n *node) withGoldensKey(st *volume.Stage) {
	st.ReadOnly = true
	name, version, _ := strings.Cut(strings.TrimPrefix(n.scene.Golden.Image, "golden."), ".")
	ref := volume.GoldenRef{Tenant: st.ID.Tenant, Name: name, Version: version}
	st.Goldens = map[volume.GoldenRef]volume.Credentials{ref: st.Credentials}
}

func (n *node) hasGoldensDevice() {
	n.t.Helper()
	all, err := n.mapper.List(n.t.Context())
	if err != nil || len(all) != 1 || all[0].Image != n.scene.Golden.Image || all[0].SnapshotID != n.scene.Golden.SnapshotID || !all[0].ReadOnly {
		n.t.Fatalf("devices %+v, %v", all, err)
	}
}

// hasNoGolden demands that the golden's mount has gone.
func (n *node) hasNoGolden() {
	n.t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), "/run/sdp-csi") {
		n.t.Errorf("mounts are left: %v\n%s", err, mounts)
	}
}
