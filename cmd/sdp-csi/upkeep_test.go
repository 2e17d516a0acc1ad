package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// flaky fails for each place so many times.
type flaky struct {
	failures map[string]int
	swept    []string
}

func (f *flaky) Sweep(_ context.Context, at tenant.Place) error {
	if f.failures[at.Tenant()]--; f.failures[at.Tenant()] >= 0 {
		return volume.ErrUnavailable
	}
	f.swept = append(f.swept, at.String())
	return nil
}

func sweeping(f *flaky) upkeep {
	return upkeep{volume.RBD, f, nil, newUpkeepCounts(prometheus.NewRegistry())}
}

// Each place is swept once, as soon as that is possible.
func TestSweepAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{failures: map[string]int{"acme": 2}}
		start := time.Now()
		sweeping(f).sweepAll(t.Context(), parsed(t, twoClusters).Places())
		const want = "east/rbd/globex west/rbd/globex west/rbd/acme east/rbd/acme"
		if got := strings.Join(f.swept, " "); len(f.swept) != 4 {
			t.Errorf("swept %s, want %s", got, want)
		}
		if took := time.Since(start); took != sweepPause {
			t.Errorf("it took %v, want one pause", took)
		}
	})
}

// A stop ends the wait for a Ceph that does not come back.
func TestSweepAllEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		sweeping(&flaky{failures: map[string]int{"acme": 1 << 30, "globex": 1 << 30}}).sweepAll(ctx, parsed(t, twoClusters).Places())
		if took := time.Since(start); took != time.Hour {
			t.Errorf("it took %v", took)
		}
	})
}

// purged notes where it is called.
type purged []string

func (p *purged) Purge(_ context.Context, at tenant.Place) error {
	*p = append(*p, at.Tenant())
	return volume.ErrUnavailable
}

// Goldens are purged every time, whatever failed before, and in the places that
// there are then.
func TestPurgeAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), purgeEvery+purgeEvery/2)
		defer cancel()
		var p purged
		asked := 0
		upkeep{volume.RBD, nil, &p, newUpkeepCounts(prometheus.NewRegistry())}.purgeAll(ctx, func(context.Context) []tenant.Place {
			asked++
			return parsed(t, twoClusters).Places()[:asked]
		})
		if asked != 2 || len(p) != 3 {
			t.Errorf("asked %d times, purged %v", asked, p)
		}
	})
}

// A cluster without a file system has nothing of backend cephfs to keep up.
func TestUpkeepOfAFileSystem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := parsed(t, strings.Replace(twoClusters, "{id: west,", "{id: west, fileSystem: files,", 1))
		for backend, want := range map[volume.Backend]int{volume.RBD: 4, volume.CephFS: 2} {
			ctx, cancel := context.WithTimeout(t.Context(), purgeEvery/2)
			defer cancel()
			f, p := &flaky{failures: map[string]int{}}, purged{}
			upkeep{backend, f, &p, newUpkeepCounts(prometheus.NewRegistry())}.run(ctx, func(context.Context) []tenant.Place { return policy.Places() })
			if len(f.swept) != want || len(p) != want {
				t.Errorf("backend %s: swept %v, purged %v, want %d of each", backend, f.swept, p, want)
			}
		}
	})
}
