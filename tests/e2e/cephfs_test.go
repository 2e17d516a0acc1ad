//go:build e2e

package e2e

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// files: several pods write one volume of CephFS, and several read a golden
// there.
func (s *scene) files(t *testing.T) {
	cluster.Bound(t,
		cluster.Claim{Namespace: "acme", Name: "board", Class: classCephFS, Mode: "ReadWriteMany", Size: "64Mi"},
		cluster.Claim{Namespace: "acme", Name: "corpus", Class: classCephFSGolden})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "left", Volume: cluster.Of("board")},
		cluster.Function{Namespace: "acme", Name: "right", Volume: cluster.Of("board")},
		cluster.Function{Namespace: "acme", Name: "scholar-1", Volume: cluster.Of("corpus")},
		cluster.Function{Namespace: "acme", Name: "scholar-2", Volume: cluster.Of("corpus")})
	cluster.Shell(t, "acme", "left", "echo hello >/data/note && sync")
	if got := cluster.Shell(t, "acme", "right", "cat /data/note; echo again >/data/note && sync"); got != "hello" {
		t.Errorf("the other pod reads %q", got)
	}
	if got := cluster.Shell(t, "acme", "left", "cat /data/note"); got != "again" {
		t.Errorf("the first pod reads %q", got)
	}
	s.readsModel(t, "acme", "scholar-1")
	s.readsModel(t, "acme", "scholar-2")
}
