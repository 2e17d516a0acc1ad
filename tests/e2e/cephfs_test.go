//go:build e2e

package e2e

import "testing"

// files: several pods write one volume of CephFS, and several read a golden
// there.
func (s *scene) files(t *testing.T) {
	bound(t,
		claim{namespace: "acme", name: "board", class: classCephFS, mode: "ReadWriteMany", size: "64Mi"},
		claim{namespace: "acme", name: "corpus", class: classCephFSGolden})
	ready(t,
		function{namespace: "acme", name: "left", volume: of("board")},
		function{namespace: "acme", name: "right", volume: of("board")},
		function{namespace: "acme", name: "scholar-1", volume: of("corpus")},
		function{namespace: "acme", name: "scholar-2", volume: of("corpus")})
	shell(t, "acme", "left", "echo hello >/data/note && sync")
	if got := shell(t, "acme", "right", "cat /data/note; echo again >/data/note && sync"); got != "hello" {
		t.Errorf("the other pod reads %q", got)
	}
	if got := shell(t, "acme", "left", "cat /data/note"); got != "again" {
		t.Errorf("the first pod reads %q", got)
	}
	s.readsModel(t, "acme", "scholar-1")
	s.readsModel(t, "acme", "scholar-2")
}
