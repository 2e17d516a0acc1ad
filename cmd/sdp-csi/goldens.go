package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
)

// goldens tells Prometheus what the node shares, as the kernel shows it when
// it is asked.
type goldens struct {
	images                         *rbd.Stager
	files                          *cephfs.Stager // nil: the node mounts no CephFS
	mapped, sharers, running, lost *prometheus.Desc
	read                           *prometheus.Desc // by golden and device
}

func (g *goldens) describe() *goldens {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	g.mapped = describe("sdp_csi_goldens_mapped", "Goldens that this node has mapped or mounted, those that linger too.")
	g.sharers = describe("sdp_csi_golden_sharers", "Volumes of this node that show a shared golden.")
	g.running = describe("sdp_csi_prefetches_running", "Goldens that are being read ahead of their use.")
	g.lost = describe("sdp_csi_goldens_unknown", "1 where the kernel could not be asked for the goldens mapped.")
	g.read = prometheus.NewDesc("sdp_csi_golden_read_bytes_total", "Bytes that this node has read from a golden's device since it was mapped.",
		[]string{"golden", "device"}, nil)
	return g
}

// newPrefetchCounter registers the counter of what prefetching reads.
func newPrefetchCounter(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sdp_csi_prefetched_bytes_total",
		Help: "Bytes of goldens that were read ahead of their use, by the tenant that asked first.",
	}, []string{"tenant"})
	r.MustRegister(c)
	return c
}

// Describe implements prometheus.Collector.
func (g *goldens) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.mapped, g.sharers, g.running, g.lost, g.read} {
		out <- d
	}
}

// collectPatience bounds the questions to the kernel.
const collectPatience = 5 * time.Second

// Collect implements prometheus.Collector.
func (g *goldens) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectPatience)
	defer cancel()
	gauge := func(d *prometheus.Desc, n int) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	gauge(g.running, g.images.Prefetching()) // those in files are counted with them
	mapped, sharers, err := g.shared(ctx, out)
	if err != nil {
		gauge(g.lost, 1)
		return
	}
	gauge(g.lost, 0)
	gauge(g.mapped, mapped)
	gauge(g.sharers, sharers)
}

// shared counts goldens and their sharers, and tells what was read of those
// that have a device.
func (g *goldens) shared(ctx context.Context, out chan<- prometheus.Metric) (mapped, sharers int, err error) {
	images, err := g.images.Shared(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, one := range images {
		sharers += len(one.Sharers)
		// A device that has gone meanwhile has nothing to tell.
		if n, err := mount.BytesRead("/sys", one.Device.Path); err == nil {
			out <- prometheus.MustNewConstMetric(g.read, prometheus.CounterValue, float64(n), one.Namespace+"/"+one.Image, filepath.Base(one.Device.Path))
		}
	}
	if g.files == nil {
		return len(images), sharers, nil
	}
	files, err := g.files.Shared(ctx)
	for _, one := range files {
		sharers += len(one.Sharers)
	}
	return len(images) + len(files), sharers, err
}
