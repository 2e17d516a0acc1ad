//go:build e2e

package e2e

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// testCase is one case, by the name that RUN picks it by.
type testCase struct {
	name string
	test func(*scene, *testing.T)
}

// cases run one after the other on one cluster: some of them stop parts of it.
// A case leaves nothing of its own behind.
func cases() []testCase {
	return []testCase{
		{"golden", (*scene).golden},
		{"granted", (*scene).granted},
		{"waiting", (*scene).waiting},
		{"ephemeral", (*scene).ephemeral},
		{"pipeline", (*scene).pipeline},
		{"clone", (*scene).clone},
		{"resize", (*scene).resize},
		{"block", (*scene).block},
		{"by hand", (*scene).byHand},
		{"sharing", (*scene).sharing},
		{"CephFS", (*scene).files},
		{"users of volumes", (*scene).volumeUsers},
		{"inline", (*scene).withoutClaim},
		{"timing", (*scene).timing},
		{"admitted", (*scene).admitted},
		{"rights", (*scene).rights},
		{"refused", (*scene).refused},
		{"forged", (*scene).forged},
		{"forged inline", (*scene).forgedInline},
		{"OpenWhisk", (*scene).openWhisk},
		{"OpenFaaS", (*scene).openFaaS},
		{"leader moves", (*scene).leaderMoves},
		{"controller killed", (*scene).controllerKilled},
		{"node pod deleted", (*scene).nodePodDeleted},
		{"kubelet restarted", (*scene).kubeletRestarted},
		{"Ceph stopped", (*scene).cephStopped},
		{"reboot", (*scene).reboot},
		{"chart", (*scene).chart},
	}
}

func TestEndToEnd(t *testing.T) {
	defer cluster.TellOnFailure(t)
	s := newScene(t)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			defer cluster.TellOnFailure(t)
			c.test(s, t)
		})
	}
}
