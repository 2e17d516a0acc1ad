package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

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
