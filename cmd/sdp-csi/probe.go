package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// reach asks one cluster for an answer.
type reach func(context.Context, *tenant.Cluster) error

// reachable asks all clusters at once. One that answers is enough: for its
// tenants the driver can work, and a restart would not bring the others back.
// Those that do not answer are logged.
func reachable(policy func() *tenant.Policy, ask reach) func(context.Context) error {
	return func(ctx context.Context) error {
		clusters := policy().Clusters()
		failed := make([]error, len(clusters))
		var group errgroup.Group
		for i, c := range clusters {
			group.Go(func() error {
				failed[i] = ask(ctx, c)
				return nil
			})
		}
		_ = group.Wait() // the errors are in failed
		return judge(klog.FromContext(ctx), clusters, failed)
	}
}

func judge(log klog.Logger, clusters []*tenant.Cluster, failed []error) error {
	answered := false
	for _, err := range failed {
		answered = answered || err == nil
	}
	if !answered {
		return errors.Join(failed...)
	}
	for i, err := range failed {
		if err != nil {
			log.Error(err, "a cluster is not reachable", "cluster", clusters[i].ID)
		}
	}
	return nil
}

// dial is what a node can ask without a key: whether a monitor's port answers.
// More than that the first stage finds out.
func dial(ctx context.Context, c *tenant.Cluster) error {
	var failed []error
	answers := make(chan error, len(c.Monitors))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, m := range c.Monitors {
		go func() { answers <- dialOne(ctx, m) }()
	}
	for range c.Monitors {
		err := <-answers
		if err == nil {
			return nil
		}
		failed = append(failed, err)
	}
	return fmt.Errorf("cluster %s: no monitor answers: %w: %w", c.ID, errors.Join(failed...), volume.ErrUnavailable)
}

func dialOne(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
