package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// reloadEvery is how often the policy file is looked at.
const reloadEvery = 10 * time.Second

// serve runs the driver until ctx ends.
func serve(ctx context.Context, o options) error {
	cluster := ceph.NewCluster(ceph.Options{})
	defer cluster.Close()
	source, err := tenant.OpenSource(o.config, o.guard(cluster))
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	registry := newRegistry()
	s := &driver.Server{Metrics: driver.NewMetrics(registry)}
	ask, beside := dial, []func(context.Context){}
	if o.controls() {
		if err := checkController(source.Policy(), o); err != nil {
			return err
		}
		provisioner := rbd.NewProvisioner(cluster, golden.NewLibrary(cluster, golden.Options{}))
		s.Controller = controller(source.Policy, provisioner, o)
		ask = cluster.Ping
		beside = append(beside, func(ctx context.Context) { sweepAll(ctx, provisioner, source.Policy().Places()) })
	}
	if o.mounts() {
		reader := ceph.NewReader(ceph.Options{})
		defer reader.Close()
		if s.Node, err = node(ctx, source.Policy, reader, s.Metrics, o); err != nil {
			return err
		}
	}
	s.Identity = driver.NewIdentity(version(), o.controls(), reachable(source.Policy, ask))
	beside = append(beside, func(ctx context.Context) { source.Watch(ctx, reloadEvery, reportPolicy(ctx, newPolicyGauge(registry))) })
	return runAll(ctx, beside,
		func(ctx context.Context) error { return s.Serve(ctx, o.endpoint) },
		func(ctx context.Context) error { return serveMetrics(ctx, o.metrics, registry) })
}

// runAll runs servers until ctx ends or one fails, and beside them what ends
// with them.
func runAll(ctx context.Context, beside []func(context.Context), servers ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range beside {
		group.Go(func() error { b(ctx); return nil })
	}
	for _, s := range servers {
		group.Go(func() error { return s(ctx) })
	}
	return group.Wait()
}

func controller(policy func() *tenant.Policy, p *rbd.Provisioner, o options) *driver.Controller {
	return driver.NewController(driver.ControllerOptions{
		Policy: policy, DefaultTenant: o.defaultTenant,
		Backends: map[volume.Backend]driver.Backend{volume.RBD: p},
	})
}

// checkController says what a controller lacks before its first request does.
func checkController(p *tenant.Policy, o options) error {
	for _, c := range p.Clusters() {
		if c.User == "" || c.KeyFile == "" {
			return fmt.Errorf("--config: cluster %s has no user or no keyFile, which a controller needs: %w", c.ID, volume.ErrInvalid)
		}
	}
	if o.defaultTenant == "" {
		return nil
	}
	if _, err := p.Default(o.defaultTenant, p.Clusters()[0].ID); err != nil {
		return fmt.Errorf("--default-tenant: %w", err)
	}
	return nil
}

// node returns the node's service. What a killed driver left half made goes
// before the first request can meet it.
func node(ctx context.Context, policy func() *tenant.Policy, r rbd.Reader, m *driver.Metrics, o options) (*driver.Node, error) {
	mapper, err := choose(ctx, o.mapper, mappers(o.stateDir))
	if err != nil {
		return nil, err
	}
	log := klog.FromContext(ctx)
	log.Info("mapping images", "mapper", mapper.name, "node", o.nodeID)
	tidy(ctx, mapper)
	host := mount.NewHost()
	return driver.NewNode(driver.NodeOptions{
		ID: o.nodeID, MaxVolumes: o.maxVolumes, RequirePodInfo: o.requirePodInfo, Policy: policy,
		Stager: rbd.NewStager(r, mapper, host, m), Mounter: host,
	}), nil
}

// tidyPatience bounds the removal of leftovers before the first request.
const tidyPatience = time.Minute

// tidy lets a mapper that has processes remove what dead ones left. What
// cannot be removed now is met by the request that needs its place.
func tidy(ctx context.Context, m named) {
	s, ok := m.mapper.(interface{ Sweep(context.Context) error })
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tidyPatience)
	defer cancel()
	if err := s.Sweep(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "remove what dead mappings left", "mapper", m.name)
	}
}
