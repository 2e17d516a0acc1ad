//go:build bench

package clone

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/tests/bench"
)

const (
	modelBytes  = 1_500_000_000
	seedBytes   = 64 << 20 // the golden that is cloned: a clone's cost does not depend on it
	claimBytes  = 1 << 30  // larger than the golden
	samples     = 40
	atOnce      = 60
	rounds      = 3
	fewVolumes  = 10
	manyVolumes = 5000
)

// TestClone takes all figures of the clone benchmark.
func TestClone(t *testing.T) {
	c := newController(t)
	r := newRaw(t, c.ceph.Conf(), c.pool, cloner)
	report := &bench.Report{Name: "clone"}
	seed := randomFile(t, seedBytes)
	c.importGolden(cloner, "erofs:v1", seed)
	c.importGolden(cloner, "ext4:v1", seed, "--format", "ext4")

	c.oneByOne(report, r)
	c.storm(report, r)
	c.grown(report)
	c.imports(report)
	if err := report.Write(os.Getenv("SDP_BENCH_OUT")); err != nil {
		t.Fatal(err)
	}
}

// oneByOne takes turns between the driver and the raw clone, so that both see
// the same noise.
func (c *controller) oneByOne(report *bench.Report, r *raw) {
	ctx := c.t.Context()
	var rawTimes, reading, writing []time.Duration
	for i := range samples {
		name := fmt.Sprintf("one-%d", i)
		rawTimes = append(rawTimes, c.timed(func() error { return r.clone("golden.erofs.v1", "raw-"+name) }))
		reading = append(reading, c.timed(func() error { return c.make(ctx, want{name: "ro-" + name, golden: "erofs:v1", bytes: claimBytes}) }))
		writing = append(writing, c.timed(func() error {
			return c.make(ctx, want{name: "rw-" + name, golden: "ext4:v1", bytes: claimBytes, writable: true})
		}))
		c.must(r.remove("raw-" + name))
		c.removeAll()
	}
	base := bench.Median(rawTimes)
	report.Add("read-only CreateVolume, p50 / raw clone", bench.Median(reading)/base, "x", bench.Lower, 1.5)
	report.Add("writable CreateVolume with a resize, p50 / raw clone", bench.Median(writing)/base, "x", bench.Lower, 2.5)
	report.Note("one raw clone: %.1f ms p50; read-only CreateVolume %.1f ms; writable %.1f ms", base, bench.Median(reading), bench.Median(writing))
}

// storm makes 60 volumes at once, each round beside 60 raw clones at once.
func (c *controller) storm(report *bench.Report, r *raw) {
	ctx := c.t.Context()
	var aborted atomic.Int64
	var ours, theirs time.Duration
	for round := range rounds {
		theirs += c.timed(func() error {
			return each(atOnce, atOnce, func(i int) error { return r.clone("golden.erofs.v1", fmt.Sprintf("storm-%d-%d", round, i)) })
		})
		ids := make([]string, atOnce)
		ours += c.timed(func() error {
			return each(atOnce, atOnce, func(i int) error {
				id, busy, err := c.create(ctx, want{name: fmt.Sprintf("storm-%d-%d", round, i), golden: "erofs:v1", bytes: claimBytes})
				if busy {
					aborted.Add(1)
				}
				ids[i] = id
				return err
			})
		})
		c.made = ids
		c.removeAll()
		c.must(each(atOnce, 16, func(i int) error { return r.remove(fmt.Sprintf("storm-%d-%d", round, i)) }))
	}
	resident, err := c.driver.Resident()
	c.must(err)
	report.Add("60 at once, rate / raw with 60 in flight", theirs.Seconds()/ours.Seconds(), "x", bench.Higher, 0.7)
	report.Add("60 at once, answers Aborted", float64(aborted.Load()), "", bench.Lower, 0)
	report.Add("controller's resident memory after the storm", float64(resident)/(1<<20), "MiB", bench.Lower, 150)
	rate := func(d time.Duration) float64 { return float64(rounds*atOnce) / d.Minutes() }
	report.Note("60 at once: %.0f volumes a minute, raw %.0f", rate(ours), rate(theirs))
}

// grown compares CreateVolume in a tenant of 10 volumes and of 5,000.
func (c *controller) grown(report *bench.Report) {
	ctx := c.t.Context()
	c.fill(ctx, 0, fewVolumes)
	few := c.median(ctx, "few")
	c.fill(ctx, fewVolumes, manyVolumes)
	many := c.median(ctx, "many")
	report.Add("CreateVolume in a tenant of 5,000 volumes / of 10, p50", many/few, "x", bench.Lower, 1.2)
	report.Note("CreateVolume: %.1f ms with %d volumes, %.1f ms with %d", few, fewVolumes, many, manyVolumes)
	c.removeAll()
}

// fill makes the volumes from..to-1, to stay for a while.
func (c *controller) fill(ctx context.Context, from, to int) {
	ids := make([]string, to-from)
	c.must(each(len(ids), 32, func(i int) (err error) {
		ids[i], _, err = c.create(ctx, want{name: fmt.Sprintf("fill-%d", from+i), golden: "erofs:v1", bytes: claimBytes})
		return err
	}))
	c.made = append(c.made, ids...)
}

func (c *controller) median(ctx context.Context, name string) float64 {
	var all []time.Duration
	for i := range samples {
		all = append(all, c.timed(func() error {
			return c.make(ctx, want{name: fmt.Sprintf("%s-%d", name, i), golden: "erofs:v1", bytes: claimBytes})
		}))
	}
	return bench.Median(all)
}

// imports compares sdpctl golden import with rbd import of the same bytes.
func (c *controller) imports(report *bench.Report) {
	model := randomFile(c.t, modelBytes)
	theirs := c.timed(func() error {
		return exec.CommandContext(c.t.Context(), "rbd", "-c", c.ceph.Conf(), "import", model, c.pool+"/"+seeder+"/raw").Run()
	})
	ours := c.timed(func() error { c.importGolden(seeder, "model:v1", model); return nil })
	report.Add("import of a 1.5 GB golden, rate / rbd import", theirs.Seconds()/ours.Seconds(), "x", bench.Higher, 0.3)
	report.Note("import of 1.5 GB: %.1f s, rbd import %.1f s", ours.Seconds(), theirs.Seconds())
}

func (c *controller) make(ctx context.Context, w want) error {
	id, _, err := c.create(ctx, w)
	c.made = append(c.made, id)
	return err
}

func (c *controller) removeAll() {
	ids := c.made
	c.made = nil
	c.must(each(len(ids), 16, func(i int) error { return c.remove(context.Background(), ids[i]) }))
}

// each runs fn for 0..n-1, some at a time.
func each(n, atATime int, fn func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(atATime)
	for i := range n {
		group.Go(func() error { return fn(i) })
	}
	return group.Wait()
}

func (c *controller) timed(fn func() error) time.Duration {
	c.t.Helper()
	start := time.Now()
	c.must(fn())
	return time.Since(start)
}

func (c *controller) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// randomFile makes a file that nothing can compress.
func randomFile(t testing.TB, size int64) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "model.h5"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.CopyN(file, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
