package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/tenants"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// modeTenants keeps tenants and their Secrets. It serves no CSI.
const modeTenants = "tenants"

// serveTenants keeps tenants as the policy wants them until ctx ends, or
// until another replica does.
func serveTenants(ctx context.Context, o options) error {
	cluster := ceph.NewCluster(ceph.Options{User: o.cephUser})
	defer cluster.Close()
	source, err := tenant.OpenSource(o.config, tenant.KeepsClusters(cluster.HasVolumes))
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if err := checkController(source.Policy(), ""); err != nil {
		return err
	}
	registry := newRegistry()
	controller, err := newTenants(o, source, cluster, tenants.NewMetrics(registry))
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("keeping tenants", "namespace", controller.Namespace)
	group, ctx := errgroup.WithContext(ctx)
	report := reportPolicy(ctx, newPolicyGauge(registry))
	group.Go(func() error { source.Watch(ctx, reloadEvery, report); return nil })
	group.Go(func() error { return serveMetrics(ctx, o.metrics, registry) })
	group.Go(func() error { return serveHealth(ctx, o.health, controller.Healthy) })
	group.Go(func() error { return controller.Run(ctx) })
	return group.Wait()
}

func newTenants(o options, source *tenant.Source, cluster *ceph.Cluster, m *tenants.Metrics) (*tenants.Controller, error) {
	clients, err := kubernetes.Connect(kubernetes.Where{Kubeconfig: o.kubeconfig})
	if err != nil {
		return nil, err
	}
	identity, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the host's name: %w", err)
	}
	namespace := o.namespace
	if namespace == "" {
		namespace = kubernetes.PodNamespace()
	}
	if namespace == "" {
		return nil, fmt.Errorf("--namespace is missing: name the driver's namespace, for the nodes' Secrets: %w", volume.ErrInvalid)
	}
	catalog := golden.NewCatalog(golden.NewLibrary(cluster, golden.Options{}), cluster)
	registrar := func(p *tenant.Policy) *tenant.Registrar { return tenant.NewRegistrar(p, cluster, catalog, cluster) }
	return tenants.New(tenants.Options{
		// Two processes on one host have one name.
		Client: clients.Typed, Namespace: namespace, Identity: fmt.Sprintf("%s_%d", identity, os.Getpid()), Metrics: m,
		Policy: source.Policy, Inline: (*tenant.Policy).Inline,
		Registrar: func(p *tenant.Policy) tenants.Registrar { return registrar(p) },
		Desk:      newDesk(source.Policy, cluster, registrar, m.Served),
	}), nil
}

// newDesk returns what serves a cluster's controllers that have no right on
// users, and counts what it served.
func newDesk(policy func() *tenant.Policy, cluster *ceph.Cluster, registrar func(*tenant.Policy) *tenant.Registrar, count func(error)) func(context.Context, string) error {
	desk := cephfs.NewDesk(ceph.NewFileSystem(cluster), policy, func(ctx context.Context, at tenant.Place) (bool, error) {
		return registrar(policy()).Revoked(ctx, at)
	})
	return func(ctx context.Context, id string) error {
		pool, err := policy().Pool(id)
		if err != nil {
			return err
		}
		return cluster.ServeWriters(ctx, pool, func(ctx context.Context, r cephfs.WriterRequest) error {
			err := desk.Serve(ctx, id, r)
			count(err)
			return err
		})
	}
}

// serveHealth answers /healthz until ctx ends. An empty address serves none.
func serveHealth(ctx context.Context, address string, healthy func(context.Context) error) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--health-address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := healthy(r.Context()); err != nil {
			http.Error(w, oneLine(err), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerPatience}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health on %s: %w", address, err)
	}
	return nil
}
