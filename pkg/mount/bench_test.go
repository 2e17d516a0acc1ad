package mount

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkPublish publishes and unpublishes one golden on a node with few and
// with many mounts, and reports the median of the publications alone.
func BenchmarkPublish(b *testing.B) {
	for name, others := range map[string]int{"few mounts": 0, "1000 mounts": 1000} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			for i := range others {
				must(b, w.Publish(b.Context(), publication(w.golden, w.target("other"+itoa(i)), true)))
			}
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				must(b, w.Publish(b.Context(), publication(w.golden, w.target("p"), true)))
				took = append(took, time.Since(start))
				must(b, w.Unpublish(b.Context(), w.target("p")))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			must(b, unix.Unmount(w.golden, unix.MNT_DETACH))
		})
	}
}
