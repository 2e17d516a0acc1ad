package tenants

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Metrics tell how tenants fare. A nil *Metrics counts nothing.
type Metrics struct {
	leader   prometheus.Gauge
	last     *prometheus.GaugeVec
	errors   *prometheus.CounterVec
	requests *prometheus.CounterVec
}

// NewMetrics registers the controller's metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sdp_csi_tenants_leader", Help: "1 where this replica has the lease.",
		}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sdp_csi_tenant_last_sync_timestamp_seconds", Help: "When a namespace of the tenant was last found or made as the policy wants it.",
		}, []string{"tenant"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sdp_csi_tenant_sync_errors_total", Help: "How often a tenant, or a Secret of it, could not be made.",
		}, []string{"tenant"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sdp_csi_tenants_requests_total", Help: "Controllers' requests for users of volumes, by result: served, refused, failed.",
		}, []string{"result"}),
	}
	r.MustRegister(m.leader, m.last, m.errors, m.requests)
	return m
}

func (m *Metrics) lead(yes bool) {
	switch {
	case m == nil:
	case yes:
		m.leader.Set(1)
	default:
		m.leader.Set(0)
	}
}

func (m *Metrics) synced(tenant string) {
	if m != nil {
		m.last.WithLabelValues(tenant).SetToCurrentTime()
	}
}

// Served counts a request of a controller.
func (m *Metrics) Served(err error) {
	result := "served"
	switch {
	case errors.Is(err, volume.ErrDenied) && !volume.IsOpen(err):
		result = "refused"
	case err != nil:
		result = "failed"
	}
	m.requests.WithLabelValues(result).Inc()
}

func (m *Metrics) failed(tenant string) {
	if m != nil {
		m.errors.WithLabelValues(tenant).Inc()
	}
}
