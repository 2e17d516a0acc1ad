//go:build bench

package coldstart

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// table is one run of the protocol: rounds of consecutive calls of each way,
// each round from cold.
type table struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Rate     string `json:"rate"`
	// Kept is whether the function's image without a model was on the node.
	Kept  bool   `json:"runtimeImageKept"`
	Calls []call `json:"calls"`
	Means []mean `json:"means"`
	// Disk is what a way takes of the node's disk while one function runs.
	Disk map[string]int64 `json:"nodeBytes"`
}

// kept: the paper's protocol on a node that has run functions of this runtime:
// the model is gone, and so is the layer of the image that has it.
func (s *stand) kept(t *testing.T) {
	s.protocol(t, table{Name: "kept", Rate: s.settings.Rate, Kept: true}, newKnative(s), s.settings.Rounds)
}

// cold: the same with all of every image gone.
func (s *stand) cold(t *testing.T) {
	s.protocol(t, table{Name: "cold", Rate: s.settings.Rate}, newKnative(s), s.settings.Rounds)
}

// bare: as cold, without a platform.
func (s *stand) bare(t *testing.T) {
	s.protocol(t, table{Name: "bare", Rate: s.settings.Rate}, newPods(s), 1)
}

// unshaped: as cold, with as fast a wire as this machine makes.
func (s *stand) unshaped(t *testing.T) {
	s.wire(t, "unshape")
	t.Cleanup(func() { s.wire(t, "shape", s.settings.Rate) })
	s.protocol(t, table{Name: "unshaped", Rate: "none"}, newKnative(s), 1)
}

func (s *stand) protocol(t *testing.T, table table, p platform, rounds int) {
	table.Platform, table.Disk = p.name(), map[string]int64{}
	then := s.empty
	if table.Kept {
		then = s.pulled(t, s.settings.Model)
	}
	functions := s.functions(s.settings.Model, table.Name)
	p.deploy(t, functions...)
	for round := range rounds {
		for i := range functions {
			// In turns, so that none is always the first of a round.
			f := functions[(i+round)%len(functions)]
			s.chill(t, p, table.Kept, then, f)
			before := s.disk(t)
			table.Calls = append(table.Calls, s.round(t, p, f, round+1)...)
			table.Disk[f.way.name] = s.disk(t) - before
			p.idle(t, f)
		}
	}
	table.Means = means(table.Calls)
	table.tell(t)
	s.details.Tables = append(s.details.Tables, table)
}

// functions are one of each way.
func (s *stand) functions(p prepared, prefix string) (all []function) {
	for _, w := range s.ways(p) {
		all = append(all, function{way: w, name: prefix + "-" + w.name, model: p})
	}
	return all
}

// round is one way's consecutive calls.
func (s *stand) round(t *testing.T, p platform, f function, round int) (calls []call) {
	t.Helper()
	for i := range s.settings.Calls {
		c := s.call(t, p, f)
		c.Round, c.Number = round, i+1
		if (c.Load > 0) != (i == 0) {
			t.Errorf("%s: in call %d of round %d the model was loaded for %.1f s", f.name, c.Number, round, c.Load)
		}
		calls = append(calls, c)
	}
	return calls
}

// pulled has the kubelet pull the image without a model, and returns what the
// node has then.
func (s *stand) pulled(t *testing.T, model prepared) store {
	t.Helper()
	p, f := newPods(s), function{way: named(model, local), name: "puller", model: model}
	s.chill(t, p, false, s.empty, f)
	s.call(t, p, f)
	p.idle(t, f)
	return s.store(t)
}

// disk is what images and pods take of the node's disk, or of what stands for
// it: file systems that are mounted there are not counted.
func (s *stand) disk(t testing.TB) (bytes int64) {
	t.Helper()
	for _, dir := range []string{filepath.Join(s.settings.kubernetes, "containerd"), "/var/lib/kubelet"} {
		out, err := cluster.Run(t.Context(), "", "du", "-sxB1", dir)
		// Containers come and go meanwhile.
		n, wrong := strconv.ParseInt(strings.Fields(out + " 0")[0], 10, 64)
		if wrong != nil || n == 0 {
			t.Fatalf("du of %s: %v %v", dir, err, wrong)
		}
		bytes += n
	}
	return bytes
}

// details are what the report's figures come from.
type details struct {
	Settings settings `json:"settings"`
	Machine  string   `json:"machine"`
	Tables   []table  `json:"tables"`
	Warm     []call   `json:"warm"`
	Scaling  []crowd  `json:"scaling"`
	Stored   []stored `json:"stored"`
}
