package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// guard keeps an edit of the policy file from dropping a cluster that has
// volumes. Only a controller has a key to look with.
func (o *options) guard(c *ceph.Cluster) tenant.Guard {
	if !o.controls() {
		return nil
	}
	return tenant.KeepsClusters(c.HasVolumes)
}

// newPolicyGauge tells whether the policy file as it is now is in force.
func newPolicyGauge(r prometheus.Registerer) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sdp_csi_policy_good",
		Help: "1 where the policy file is in force, 0 where it is not good and the last good one stays.",
	})
	r.MustRegister(g)
	g.Set(1)
	return g
}

// reportPolicy logs and counts what the policy file's edits do.
func reportPolicy(ctx context.Context, good prometheus.Gauge) func(error) {
	log := klog.FromContext(ctx)
	return func(err error) {
		if err != nil {
			good.Set(0)
			log.Error(err, "the policy file is not good: the last good one stays in force")
			return
		}
		good.Set(1)
		log.Info("the policy file is in force")
	}
}
