//go:build bench

package node

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/bench"
)

const (
	modelBytes = 1_500_000_000
	functions  = 20
	// clones of their own would need 30 GB of page cache: fewer are measured,
	// and each adds the same.
	clones = 4
	rounds = 5
)

// TestNode takes all figures of the node benchmark.
func TestNode(t *testing.T) {
	m := newMachine(t)
	report := &bench.Report{Name: "node"}
	m.load(report, "at the start")
	m.first(report)
	m.share(report)
	m.clone(report)
	m.load(report, "at the end")
	if err := report.Write(os.Getenv("SDP_BENCH_OUT")); err != nil {
		t.Fatal(err)
	}
}

// share has one golden read whole by 20 functions, one after the other.
func (m *machine) share(report *bench.Report) {
	m.empty()
	disk := m.localCopy()
	disk.read() // into the page cache
	before, held := m.osdBytes(), cached()
	var all []*function
	var starts, reads, local []time.Duration
	for i := range functions {
		f := m.function(fmt.Sprintf("shared-%d", i), map[string]string{"prefetch": "none"})
		start := m.timed(func() { f.stage(); f.publish() })
		read := m.timed(func() { f.read() })
		if i > 0 {
			starts, reads = append(starts, start), append(reads, read)
			local = append(local, m.timed(disk.read))
		}
		all = append(all, f)
	}
	report.Add("20 functions read one golden: bytes from the OSD / the golden", float64(m.osdBytes()-before)/modelBytes, "x", bench.Lower, 1.05)
	report.Add("page cache held / the golden", float64(m.goldenCache())/modelBytes, "x", bench.Lower, 1.1)
	report.Note("the node's whole page cache, meminfo's Cached and Buffers, grew by %.2f x the golden meanwhile", float64(cached()-held)/modelBytes)
	report.Add("stage + publish of the 2nd to the 20th, p50", bench.Median(starts), "ms", bench.Lower, 10)
	report.Add("their whole read / a warm read from local ext4, p50", bench.Median(local)/bench.Median(reads), "x", bench.Higher, 0.8)
	report.Note("warm whole read: %.2f GB/s through the volume, %.2f GB/s from ext4", rate(bench.Median(reads)), rate(bench.Median(local)))
	disk.close()
	m.remove(all)
}

// clone is the same with a device for each.
func (m *machine) clone(report *bench.Report) {
	m.empty()
	before := m.osdBytes()
	var all []*function
	for i := range clones {
		f := m.function(fmt.Sprintf("clone-%d", i), map[string]string{"share": "clone"})
		f.stage()
		f.publish()
		f.read()
		all = append(all, f)
	}
	times := float64(m.osdBytes()-before) / modelBytes
	report.Note("with share: clone %d functions read %.2f x the golden from the OSD, so 20 would read %.1f x", clones, times, times/clones*functions)
	m.remove(all)
}

// first takes turns between Ceph's own benchmark and first reads.
func (m *machine) first(report *bench.Report) {
	var raw []float64
	ratios := map[string][]float64{}
	rates := map[string][]float64{}
	for round := range rounds {
		base := m.rbdBench()
		raw = append(raw, base)
		for _, prefetch := range []string{"none", "all"} {
			m.empty()
			f := m.function(fmt.Sprintf("first-%s-%d", prefetch, round), map[string]string{"prefetch": prefetch})
			f.stage()
			f.publish()
			got := rate(bench.Median([]time.Duration{m.timed(func() { f.read() })}))
			rates[prefetch] = append(rates[prefetch], got)
			ratios[prefetch] = append(ratios[prefetch], got/base)
			m.remove([]*function{f})
		}
	}
	report.Add("whole first read, prefetch: all / rbd bench", middle(ratios["all"]), "x", bench.Higher, 0.4)
	report.Add("whole first read, prefetch: none / rbd bench", middle(ratios["none"]), "x", bench.Higher, 0.2)
	report.Note("rbd bench %.2f GB/s; first read %.2f with prefetch: all, %.2f with none (middles of %d; all: %.2f, none: %.2f, rbd bench: %.2f)",
		middle(raw), middle(rates["all"]), middle(rates["none"]), rounds, rates["all"], rates["none"], raw)
}

// rate is what a whole read in so many milliseconds reaches, in GB/s.
func rate(ms float64) float64 { return modelBytes / ms / 1e6 }

func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
