package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// upkeepCounts count what a controller does beside its requests.
type upkeepCounts struct{ sweeps, purges *prometheus.CounterVec }

func newUpkeepCounts(r prometheus.Registerer) *upkeepCounts {
	by := []string{"backend", "result"}
	c := &upkeepCounts{
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sdp_csi_sweeps_total",
			Help: "Places that were swept of what crashes left, by backend and result: ok or failed (it is tried again).",
		}, by),
		purges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sdp_csi_purges_total",
			Help: "Places whose waiting deletions of goldens were gone on with, by backend and result: ok or failed.",
		}, by),
	}
	r.MustRegister(c.sweeps, c.purges)
	return c
}

func (c *upkeepCounts) swept(b volume.Backend, err error) {
	c.sweeps.WithLabelValues(string(b), resultOf(err)).Inc()
}

func (c *upkeepCounts) purged(b volume.Backend, err error) {
	c.purges.WithLabelValues(string(b), resultOf(err)).Inc()
}

func resultOf(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

// copyMetrics implements cephfs.CopyMetrics.
type copyMetrics struct {
	running prometheus.Gauge
	ended   prometheus.Counter
	bytes   prometheus.Counter
}

func newCopyMetrics(r prometheus.Registerer) copyMetrics {
	m := copyMetrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sdp_csi_copies_running", Help: "Contents of writable CephFS volumes that are being copied.",
		}),
		ended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sdp_csi_copies_total", Help: "Copies of contents that have ended, well or not.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sdp_csi_copied_bytes_total", Help: "Bytes that were copied into writable CephFS volumes.",
		}),
	}
	r.MustRegister(m.running, m.ended, m.bytes)
	return m
}

// CopyStarted implements cephfs.CopyMetrics.
func (m copyMetrics) CopyStarted() { m.running.Inc() }

// CopyRead implements cephfs.CopyMetrics.
func (m copyMetrics) CopyRead(bytes int64) { m.bytes.Add(float64(bytes)) }

// CopyEnded implements cephfs.CopyMetrics.
func (m copyMetrics) CopyEnded() {
	m.running.Dec()
	m.ended.Inc()
}
