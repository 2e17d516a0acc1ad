package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	// sweepPatience bounds the sweep, or the purge, of one place.
	sweepPatience = 10 * time.Minute
	// sweepPause comes before places are tried again that could not be swept.
	sweepPause = time.Minute
)

// sweeper removes what crashes left in a place.
type sweeper interface {
	Sweep(ctx context.Context, at tenant.Place) error
}

// upkeep is what a controller does for a backend beside its requests.
type upkeep struct {
	backend volume.Backend
	sweeper
	purger
	counts *upkeepCounts
}

// run sweeps what crashes left, once, and goes on with deletions that have to
// wait, until ctx ends.
func (u upkeep) run(ctx context.Context, places func(context.Context) []tenant.Place) {
	mine := func(ctx context.Context) []tenant.Place {
		return slices.DeleteFunc(places(ctx), func(at tenant.Place) bool { return !serves(at, u.backend) })
	}
	var both sync.WaitGroup
	both.Go(func() { u.purgeAll(ctx, mine) })
	both.Go(func() { u.sweepAll(ctx, mine(ctx)) })
	both.Wait()
}

// serves says whether the place's cluster has what the backend needs.
func serves(at tenant.Place, b volume.Backend) bool {
	return b != volume.CephFS || at.Cluster().FileSystem != ""
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
func (u upkeep) sweepAll(ctx context.Context, places []tenant.Place) {
	for {
		if places = u.sweepOnce(ctx, places); len(places) == 0 {
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
func (u upkeep) sweepOnce(ctx context.Context, places []tenant.Place) (failed []tenant.Place) {
	log := klog.FromContext(ctx)
	for _, at := range places {
		err := bounded(ctx, at, u.Sweep)
		u.counts.swept(u.backend, err)
		if err != nil {
			log.Error(err, "sweep", "backend", u.backend, "place", at.String())
			failed = append(failed, at)
		}
	}
	log.Info("swept what crashes left", "backend", u.backend, "places", len(places)-len(failed), "failed", len(failed))
	return failed
}

func bounded(ctx context.Context, at tenant.Place, do func(context.Context, tenant.Place) error) error {
	ctx, cancel := context.WithTimeout(ctx, sweepPatience)
	defer cancel()
	return do(ctx, at)
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
func (u upkeep) purgeAll(ctx context.Context, places func(context.Context) []tenant.Place) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		for _, at := range places(ctx) {
			err := bounded(ctx, at, u.Purge)
			if ctx.Err() != nil {
				return
			}
			u.counts.purged(u.backend, err)
			if err != nil {
				klog.FromContext(ctx).Error(err, "purge goldens", "backend", u.backend, "place", at.String())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
