//go:build bench

package coldstart

import (
	"slices"
	"testing"
)

// What the node has of a golden before a function of it comes.
const (
	inUse    = "rbd, another function runs" // and shows it
	lingers  = "rbd, another function is gone"
	fromDisk = "local disk" // the model is a file there, in page cache
)

// warm: a node that has served this golden to another function, and a function
// that never ran there. Beside it the same function with the model as a file of
// the node's disk that is in page cache: there is no faster way. In turns.
func (s *stand) warm(t *testing.T) {
	p, k := newPods(s), newKnative(s)
	model := s.settings.Model
	other := function{way: named(model, sdpRBD), name: "other", model: model}
	sdp := function{way: named(model, sdpRBD), name: "warm-rbd", model: model}
	disk := function{way: named(model, local), name: "warm-local", model: model}
	p.deploy(t, other)
	k.deploy(t, sdp, disk)
	s.call(t, p, other)
	for round := range s.settings.Rounds {
		cases := []func() call{
			func() call { return s.warmCall(t, k, sdp, inUse) },
			func() call { return s.lingering(t, p, k, other, sdp) },
			func() call { read(t, model.file()); return s.warmCall(t, k, disk, fromDisk) },
		}
		if round%2 == 1 {
			slices.Reverse(cases)
		}
		for _, measure := range cases {
			k.idle(t, sdp, disk)
			s.call(t, p, other) // which runs, and has read it all
			c := measure()
			c.Round = round + 1
			t.Logf("%-30s %.2f s, of it %.2f before the function, %.2f loading; %d MB", c.Way, c.Request, c.Latency, c.Load, c.Bytes/1e6)
			s.details.Warm = append(s.details.Warm, c)
		}
	}
	k.idle(t, sdp, disk)
}

func (s *stand) warmCall(t *testing.T, p platform, f function, as string) call {
	t.Helper()
	c := s.call(t, p, f)
	c.Way, c.Number = as, 1
	if c.Load == 0 {
		t.Errorf("%s was not cold", f.name)
	}
	return c
}

// lingering calls a function when the other one has gone, and nobody has the
// golden.
func (s *stand) lingering(t *testing.T, p *pods, k *knative, other, f function) call {
	t.Helper()
	p.idle(t, other)
	if len(goldens(t)) == 0 {
		t.Error("the golden did not linger")
	}
	return s.warmCall(t, k, f, lingers)
}
