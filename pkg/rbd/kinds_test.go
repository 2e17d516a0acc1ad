package rbd_test

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// TestKinds goes on with what was mapped in another way: it is found, used and
// removed, and new devices are made in the new way.
func TestKinds(t *testing.T) {
	n := newShared(t, "a1", "a2", "b1")
	old := n.fresh()
	n.must(n.stageHere(old, "a1"))
	fresh := fake.NewHost(n.ceph)
	s := rbd.NewStager(n.ceph, rbd.Kinds(fresh, n.host), n.host, noSteps{})
	n.must(n.stageHere(s, "a2"))
	if len(fresh.Contents()) != 0 {
		t.Fatalf("mapped a second time: %q", fresh.Contents())
	}
	all, err := s.Shared(t.Context())
	n.must(err)
	if len(all) != 1 || len(all[0].Sharers) != 2 {
		t.Fatalf("shared are %+v", all)
	}
	n.run(n.unstageHere(s, "a1"), n.unstageHere(s, "a2"))
	n.expectHost("unstaged")
	_ = n.stageHere(s, "b1") // a mount of the old host does not know the new one's devices
	if len(fresh.Contents()) != 0 || n.devices() != 0 {
		t.Fatalf("left are %q and %q", fresh.Contents(), n.host.Contents())
	}
}
