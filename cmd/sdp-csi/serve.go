package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/build"
	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// reloadEvery is how often the policy file is looked at.
const reloadEvery = 10 * time.Second

// process is the driver, put together.
type process struct {
	options
	source   *tenant.Source
	registry *prometheus.Registry
	server   driver.Server
	ask      reach                   // what the probe asks a cluster
	beside   []func(context.Context) // what runs beside the servers and ends with ctx
}

// serve runs the driver until ctx ends.
func serve(ctx context.Context, o options) error {
	if err := driver.CheckEndpoint(o.endpoint); err != nil {
		return err
	}
	// Both connect when they are first used.
	cluster, reader := ceph.NewCluster(ceph.Options{}), ceph.NewReader(ceph.Options{})
	defer cluster.Close()
	defer reader.Close()
	source, err := tenant.OpenSource(o.config, o.guard(cluster))
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	p := &process{options: o, source: source, registry: newRegistry(), ask: dial}
	p.server.Metrics = driver.NewMetrics(p.registry)
	if o.controls() {
		if err := p.addController(cluster); err != nil {
			return err
		}
	}
	if o.mounts() {
		if err := p.addNode(ctx, reader); err != nil {
			return err
		}
	}
	p.server.Identity = driver.NewIdentity(build.Version(), o.controls(), reachable(source.Policy, p.ask))
	return p.run(ctx)
}

// run serves until ctx ends or a server fails.
func (p *process) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range p.beside {
		group.Go(func() error { b(ctx); return nil })
	}
	report := reportPolicy(ctx, newPolicyGauge(p.registry))
	group.Go(func() error { p.source.Watch(ctx, reloadEvery, report); return nil })
	group.Go(func() error { return serveMetrics(ctx, p.metrics, p.registry) })
	group.Go(func() error { return p.server.Serve(ctx, p.endpoint) })
	return group.Wait()
}

func (p *process) addController(cluster *ceph.Cluster) error {
	if err := checkController(p.source.Policy(), p.defaultTenant); err != nil {
		return err
	}
	files := ceph.NewFileSystem(cluster)
	goldens, trees := golden.NewLibrary(cluster, golden.Options{Grace: p.retireGrace}), golden.NewLibrary(files, golden.Options{Grace: p.retireGrace})
	inImages := rbd.NewProvisioner(cluster, goldens)
	inFiles := cephfs.NewProvisioner(p.fileSystem(cluster), trees, cephfs.Options{CreateWait: p.createWait, Metrics: newCopyMetrics(p.registry)})
	p.server.Controller = driver.NewController(driver.ControllerOptions{
		Policy: p.source.Policy, DefaultTenant: p.defaultTenant,
		Backends: map[volume.Backend]driver.Backend{volume.RBD: inImages, volume.CephFS: inFiles},
	})
	p.ask = cluster.Ping
	all := func(ctx context.Context) []tenant.Place { return places(ctx, p.source.Policy(), inImages.Tenants) }
	counts := newUpkeepCounts(p.registry)
	for _, u := range []upkeep{{volume.RBD, inImages, goldens, counts}, {volume.CephFS, inFiles, trees, counts}} {
		p.beside = append(p.beside, func(ctx context.Context) { u.run(ctx, all) })
	}
	// Requests that wait for a copy end with it.
	p.beside = append(p.beside, func(ctx context.Context) { <-ctx.Done(); inFiles.Close() })
	return nil
}

// fileSystem is Ceph for CephFS volumes, with the one who makes their users.
func (o *options) fileSystem(cluster *ceph.Cluster) cephfs.Cluster {
	if o.volumeUsers == usersByTenants {
		return ceph.NewAskingFileSystem(cluster)
	}
	return ceph.NewFileSystem(cluster)
}

// checkController says what a controller lacks before its first request does.
func checkController(p *tenant.Policy, defaultTenant string) error {
	for _, c := range p.Clusters() {
		if c.User == "" || c.KeyFile == "" {
			return fmt.Errorf("--config: cluster %s has no user or no keyFile, which a controller needs: %w", c.ID, volume.ErrInvalid)
		}
	}
	if defaultTenant == "" {
		return nil
	}
	if _, err := p.Default(defaultTenant, p.Clusters()[0].ID); err != nil {
		return fmt.Errorf("--default-tenant: %w", err)
	}
	return nil
}
