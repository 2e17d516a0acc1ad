package rbd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// unclean makes a read-only volume «r» of a snapshot that was taken while a
// pod wrote the volume «v».
func (n node) unclean() {
	image := "vol." + n.id("v").Hash
	n.run(n.blank("v"), n.ceph.Fill(n.at, image, "ext4", "written"), n.ceph.Soil(n.at, image), n.snapshot("s", "v"),
		n.create(n.spec("r", "snapshot", "s", 0, true)))
}

func writer(s *volume.Stage) {
	s.ReadOnly, s.Writer = true, volume.Credentials{User: "acme", Key: "key of acme"}
}

func replays(n node) (times int) {
	for _, c := range n.ceph.Trace() {
		if c.Port == "Mount" && strings.HasPrefix(c.Name, "/run/sdp-csi/replay/") {
			times++
		}
	}
	return times
}

// TestReplay replays the journal of a copy once, and not where the copy is
// clean.
func TestReplay(t *testing.T) {
	n := newNode(t)
	n.unclean()
	for range 3 {
		n.must(n.stage("r", writer))
		n.expectHost("staged", "device rbd/acme/vol."+n.id("r").Hash+" ro", `mount /var/lib/kubelet/staging "ext4" ro`)
		n.run(n.stage("r", writer), n.unstage("r"))
		n.expectHost("unstaged")
	}
	n.must(n.stage("r", readOnly)) // it is clean now
	n.must(n.unstage("r"))
	if got := replays(n); got != 1 {
		t.Errorf("the journal was replayed %d times", got)
	}
	n.run(n.create(n.spec("c", "golden", "squad", 0, true)), n.stage("c", readOnly))
	if got := replays(n); got != 1 {
		t.Error("a golden's clone was replayed")
	}
}

// TestReplayRefuses leaves nothing behind where the journal cannot be replayed.
func TestReplayRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(n node)
		how     func(*volume.Stage)
		want    error
	}{
		"a reader's key":       {func(node) {}, readOnly, volume.ErrPrecondition},
		"a mapper without":     {func(n node) { n.host.SetMapper(false, 9) }, writer, volume.ErrUnsupported},
		"another node's doing": {func(n node) { n.must(fakeWriter(n)) }, writer, volume.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.unclean()
			c.prepare(n)
			if err := n.stage("r", c.how); !errors.Is(err, c.want) {
				t.Fatalf("got %v", err)
			}
			n.expectHost("refused")
		})
	}
}

// fakeWriter lets another node map r for writing and crash in the middle of
// its replay.
func fakeWriter(n node) error {
	other := node{world: n.world, host: n.newHost()}
	n.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Mount" {
			return fake.Fault{When: fake.Before, Crash: true}
		}
		return fake.Fault{}
	})
	defer n.ceph.Restart()
	if err := other.stage("r", writer); !errors.Is(err, volume.ErrUnavailable) {
		return fmt.Errorf("the other node's stage: %w", err)
	}
	return nil
}

// TestReplayRetry breaks each step: the same request to a fresh driver ends
// well, an unstage and a sweep leave nothing.
func TestReplayRetry(t *testing.T) {
	for kind, fault := range breakdowns {
		t.Run(kind, func(t *testing.T) {
			for i := 1; ; i++ {
				n := newNode(t)
				n.unclean()
				n.ceph.Reset(fake.At(i, fault))
				_ = n.stage("r", writer)
				if len(n.ceph.Trace()) < i {
					return
				}
				n.ceph.Restart()
				n.ceph.Settle()
				n.must(n.stage("r", writer))
				n.expectHost(fmt.Sprintf("effect %d, retried", i), "device rbd/acme/vol."+n.id("r").Hash+" ro", `mount /var/lib/kubelet/staging "ext4" ro`)
				n.run(n.unstage("r"), n.fresh().Sweep(t.Context()))
				n.expectHost(fmt.Sprintf("effect %d, unstaged", i))
			}
		})
	}
}
