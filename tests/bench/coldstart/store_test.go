//go:build bench

package coldstart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// store is what the node's containerd has of images: their parts as they were
// pulled, and unpacked.
type store struct {
	content, snapshots []string
}

// ctr runs containerd's own client on what Kubernetes has.
func ctr(t testing.TB, args ...string) string {
	t.Helper()
	out, err := cluster.Run(t.Context(), "", "ctr", append([]string{"-n", "k8s.io"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (*stand) store(t testing.TB) store {
	t.Helper()
	var s store
	s.content = strings.Fields(ctr(t, "content", "ls", "-q"))
	for line := range strings.Lines(ctr(t, "snapshots", "ls")) {
		if f := strings.Fields(line); f[len(f)-1] == "Committed" {
			s.snapshots = append(s.snapshots, f[0])
		}
	}
	slices.Sort(s.content)
	slices.Sort(s.snapshots)
	return s
}

// forget takes images away with all that no other image has.
func (*stand) forget(t testing.TB, images []string) {
	t.Helper()
	if names := alike(t, images); len(names) > 0 {
		ctr(t, append([]string{"images", "rm", "--sync"}, names...)...)
	}
}

// settled waits until the node has just what it had then.
func (s *stand) settled(t testing.TB, then store) {
	t.Helper()
	cluster.Eventually(t, "the images' end", func() error {
		now := s.store(t)
		if !slices.Equal(now.content, then.content) || !slices.Equal(now.snapshots, then.snapshots) {
			return fmt.Errorf("%w: there are %d parts and %d snapshots, not %d and %d", cluster.ErrNotYet,
				len(now.content), len(now.snapshots), len(then.content), len(then.snapshots))
		}
		return nil
	})
}

// alike lists all names that containerd has for images: Kubernetes' names for
// them are by content, too.
func alike(t testing.TB, images []string) (names []string) {
	t.Helper()
	lines := slices.Collect(strings.Lines(ctr(t, "images", "ls")))
	digests := map[string]bool{}
	for _, line := range lines {
		if f := strings.Fields(line); slices.Contains(images, f[0]) {
			digests[f[2]] = true
		}
	}
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 2 && digests[f[2]] {
			names = append(names, f[0])
		}
	}
	return names
}
