package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func parsed(t *testing.T, text string) *tenant.Policy {
	t.Helper()
	p, err := tenant.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const twoClusters = `
clusters:
- {id: east, monitors: ["192.0.2.1:3300"], pool: rbd}
- {id: west, monitors: ["192.0.2.2:3300"], pool: rbd}
tenants: [{name: acme, namespaces: [acme]}, {name: globex, namespaces: [globex]}]
`

// One cluster that answers is enough; without any, all reasons are told.
func TestReachable(t *testing.T) {
	policy := parsed(t, twoClusters)
	for name, tc := range map[string]struct {
		east, west error
		want       error
	}{
		"both":    {},
		"one":     {east: volume.ErrUnavailable},
		"other":   {west: volume.ErrUnavailable},
		"neither": {east: volume.ErrUnavailable, west: volume.ErrDenied, want: volume.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			answers := map[string]error{"east": tc.east, "west": tc.west}
			ask := func(_ context.Context, c *tenant.Cluster) error { return answers[c.ID] }
			if err := reachable(func() *tenant.Policy { return policy }, ask)(t.Context()); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

// A node is ready when one of a cluster's monitors takes its connection.
func TestDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	live := listener.Addr().String()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := gone.Addr().String()
	gone.Close()
	if err := dial(t.Context(), &tenant.Cluster{ID: "main", Monitors: []string{dead, live}}); err != nil {
		t.Errorf("with one of two monitors: %v", err)
	}
	listener.Close()
	err = dial(t.Context(), &tenant.Cluster{ID: "main", Monitors: []string{dead, live}})
	if !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), dead) || !strings.Contains(err.Error(), live) {
		t.Errorf("without a monitor: %v", err)
	}
}

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

// Each place is swept once, as soon as that is possible.
func TestSweepAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{failures: map[string]int{"acme": 2}}
		start := time.Now()
		sweepAll(t.Context(), f, parsed(t, twoClusters).Places())
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
		sweepAll(ctx, &flaky{failures: map[string]int{"acme": 1 << 30, "globex": 1 << 30}}, parsed(t, twoClusters).Places())
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
		purgeAll(ctx, &p, func(context.Context) []tenant.Place {
			asked++
			return parsed(t, twoClusters).Places()[:asked]
		})
		if asked != 2 || len(p) != 3 {
			t.Errorf("asked %d times, purged %v", asked, p)
		}
	})
}
