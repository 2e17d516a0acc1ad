//go:build bench

package coldstart

import (
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// TestColdStart measures part after part on one node: each leaves it as it was.
// -test.run 'TestColdStart/(cold|warm)' picks some.
func TestColdStart(t *testing.T) {
	defer cluster.TellOnFailure(t)
	s := newStand(t)
	for _, part := range []struct {
		name string
		test func(*stand, *testing.T)
	}{
		{"kept", (*stand).kept},
		{"cold", (*stand).cold},
		{"bare", (*stand).bare},
		{"warm", (*stand).warm},
		{"scaling", (*stand).scaling},
		{"unshaped", (*stand).unshaped},
	} {
		t.Run(part.name, func(t *testing.T) {
			defer cluster.TellOnFailure(t)
			part.test(s, t)
		})
	}
	s.report(t)
}
