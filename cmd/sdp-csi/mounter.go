package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
)

// starter returns who starts a node's long-lived programs: this process, or
// the one behind --mounter-socket.
func (o *options) starter() mounter.Starter {
	if o.mounterSocket == "" {
		return mounter.Local{}
	}
	return mounter.NewClient(o.mounterSocket)
}

// serveMounter starts programs for the node's driver until ctx ends. It needs
// neither a policy nor Ceph.
func serveMounter(ctx context.Context, o options) error {
	for _, dir := range []string{o.stateDir, filepath.Dir(o.mounterSocket)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	server, registry := mounter.NewServer(mounter.Local{}, o.stateDir), newRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sdp_csi_mounter_programs", Help: "Programs that this mounter has started and that run.",
	}, func() float64 { return float64(server.Running()) }))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveMetrics(ctx, o.metrics, registry) })
	group.Go(func() error { return server.Serve(ctx, o.mounterSocket) })
	return group.Wait()
}
