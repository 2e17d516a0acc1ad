package driver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// Metrics are the driver's own figures, for Prometheus.
type Metrics struct {
	calls *prometheus.HistogramVec
	steps *prometheus.HistogramVec
}

// NewMetrics registers the driver's metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sdp_csi_call_duration_seconds",
			Help:    "How long CSI calls took, by method and gRPC code.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 17), // 1 ms to 65 s
		}, []string{"method", "code"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sdp_csi_stage_step_duration_seconds",
			Help:    "How long the steps of staging took: record, map, lease, format, replay, mount, overlay, grow.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17), // 0.5 ms to 33 s
		}, []string{"step"}),
	}
	r.MustRegister(m.calls, m.steps)
	return m
}

func (m *Metrics) observe(method string, code codes.Code, elapsed time.Duration) {
	m.calls.WithLabelValues(method, code.String()).Observe(elapsed.Seconds())
}

// Step observes one step of staging; see rbd.Steps.
func (m *Metrics) Step(name string) (done func()) {
	start := time.Now()
	return func() { m.steps.WithLabelValues(name).Observe(time.Since(start).Seconds()) }
}
