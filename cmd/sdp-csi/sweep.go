package main

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

const (
	// sweepPatience bounds the sweep of one place.
	sweepPatience = 10 * time.Minute
	// sweepPause comes before places are tried again that could not be swept.
	sweepPause = time.Minute
)

// sweeper removes what crashes left in a place.
type sweeper interface {
	Sweep(ctx context.Context, at tenant.Place) error
}

// places returns where there can be volumes and goldens. Tenants that `auto`
// alone makes are asked of the clusters; one that does not answer is left to
// the next time.
func places(ctx context.Context, policy *tenant.Policy, list func(context.Context, tenant.Place) ([]string, error)) []tenant.Place {
	if !policy.Auto() {
		return policy.Places()
	}
	var all []tenant.Place
	for _, c := range policy.Clusters() {
		pool, err := policy.Pool(c.ID)
		var found []string
		if err == nil {
			found, err = list(ctx, pool)
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "list the tenants", "cluster", c.ID)
		}
		all = append(all, policy.PlacesIn(c, found)...)
	}
	return all
}

// sweepAll sweeps all places, one after the other, beside the controller's
// requests. Those that fail, because Ceph does not answer, come again until
// ctx ends.
func sweepAll(ctx context.Context, s sweeper, places []tenant.Place) {
	for {
		if places = sweepOnce(ctx, s, places); len(places) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepPause):
		}
	}
}

// sweepOnce returns the places that could not be swept.
func sweepOnce(ctx context.Context, s sweeper, places []tenant.Place) (failed []tenant.Place) {
	log := klog.FromContext(ctx)
	for _, at := range places {
		if err := sweepPlace(ctx, s, at); err != nil {
			log.Error(err, "sweep", "place", at.String())
			failed = append(failed, at)
		}
	}
	log.Info("swept what crashes left", "places", len(places)-len(failed), "failed", len(failed))
	return failed
}

func sweepPlace(ctx context.Context, s sweeper, at tenant.Place) error {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	return s.Sweep(ctx, at)
}

// purgeEvery is how often the controller looks for goldens whose deletion had
// to wait.
const purgeEvery = time.Hour

// purger goes on with deletions of a place.
type purger interface {
	Purge(ctx context.Context, at tenant.Place) error
}

// purgeAll goes on with the deletions of goldens that wait for nodes, until
// ctx ends. The places are asked for each time: tenants come and go.
func purgeAll(ctx context.Context, p purger, places func(context.Context) []tenant.Place) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		for _, at := range places(ctx) {
			if err := purgePlace(ctx, p, at); err != nil && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "purge goldens", "place", at.String())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func purgePlace(ctx context.Context, p purger, at tenant.Place) error {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	return p.Purge(ctx, at)
}
