//go:build bench

package cephfs

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/tests/bench"
)

const (
	modelBytes = 1_500_000_000
	smallBytes = 1_000_000
	samples    = 40
	atOnce     = 60
	functions  = 20
)

// kind is one kind of volume that is measured.
type kind struct{ backend, golden string }

// TestCephFS takes all figures of the benchmark.
func TestCephFS(t *testing.T) {
	m := newMachine(t)
	report := &bench.Report{Name: "cephfs"}
	m.load(report, "at the start")
	large, small, image := kind{"cephfs", "large:v1"}, kind{"cephfs", "small:v1"}, kind{"rbd", "image:v1"}
	m.seed(large, modelBytes)
	m.seed(small, smallBytes)
	m.seed(image, smallBytes)
	m.oneByOne(report, large, small, image)
	m.storm(report, large, image)
	m.share(report, large)
	m.load(report, "at the end")
	if err := report.Write(os.Getenv("SDP_BENCH_OUT")); err != nil {
		t.Fatal(err)
	}
}

// oneByOne makes volumes of the kinds in turn, so that what else the machine
// does meets all of them.
func (m *machine) oneByOne(report *bench.Report, large, small, image kind) {
	took := map[kind][]time.Duration{}
	for i := range samples {
		for _, k := range []kind{large, small, image} {
			took[k] = append(took[k], m.timed(func() { m.make(k, fmt.Sprintf("one-%d", i)) }))
		}
		m.removeAll()
	}
	of := func(k kind) float64 { return bench.Median(took[k]) }
	report.Add("read-only CreateVolume from 1.5 GB / from 1 MB, p50", of(large)/of(small), "x", bench.Lower, 1.2)
	report.Add("the same / RBD's CreateVolume, p50", of(large)/of(image), "x", bench.Lower, 2)
	report.Note("CreateVolume, p50 of %d: %.1f ms from 1.5 GB, %.1f ms from 1 MB, %.1f ms with RBD", samples, of(large), of(small), of(image))
}

// storm makes 60 volumes at once, and as many of RBD's.
func (m *machine) storm(report *bench.Report, large, image kind) {
	alone := m.timed(func() {
		for i := range atOnce {
			m.make(large, fmt.Sprintf("alone-%d", i))
		}
	})
	m.removeAll()
	together, aborted := m.atOnce(large)
	others, _ := m.atOnce(image)
	report.Add("60 at once from one golden, answers Aborted", float64(aborted), "", bench.Lower, 0)
	report.Add("60 at once / 60 one after the other, time", together.Seconds()/alone.Seconds(), "x", bench.Lower, 1)
	report.Note("60 at once: %.2f s, one after the other: %.2f s, at once with RBD: %.2f s", together.Seconds(), alone.Seconds(), others.Seconds())
}

func (m *machine) atOnce(k kind) (took time.Duration, aborted int64) {
	var busy atomic.Int64
	took = m.timed(func() {
		var group errgroup.Group
		for i := range atOnce {
			group.Go(func() error {
				_, err := m.create(k, fmt.Sprintf("storm-%d", i))
				if status.Code(err) == codes.Aborted {
					busy.Add(1)
				}
				return err
			})
		}
		m.must(group.Wait())
	})
	m.removeAll()
	return took, busy.Load()
}

// share has one golden read whole by 20 functions, one after the other.
func (m *machine) share(report *bench.Report, large kind) {
	before := m.osdBytes()
	var starts []time.Duration
	var first, last time.Duration
	for i := range functions {
		id := m.make(large, fmt.Sprintf("shared-%d", i))
		f := m.function(id, fmt.Sprintf("shared-%d", i))
		start := m.timed(func() { f.stage(); f.publish() })
		last = m.timed(f.read)
		if i == 0 {
			first = last
			report.Note("the first function: %.0f ms for stage and publish, %.2f s for its whole read", float64(start.Microseconds())/1e3, first.Seconds())
			continue
		}
		starts = append(starts, start)
	}
	report.Add("20 functions read one golden: bytes from the OSD / the golden", float64(m.osdBytes()-before)/modelBytes, "x", bench.Lower, 1.05)
	report.Note("stage + publish of the 2nd to the 20th: %.1f ms p50; the last whole read: %.2f s", bench.Median(starts), last.Seconds())
}
