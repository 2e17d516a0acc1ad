package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// cluster is Ceph as the commands need it.
type cluster interface {
	golden.Store
	rbd.Cluster
	tenant.Accounts
	golden.CloneLister
	diagnosis
}

// fileSystem is CephFS as the commands need it.
type fileSystem interface {
	golden.Store
	golden.Trees
	cephfs.Cluster
}

// app is what the commands share: where they read and write, the flags that
// all of them have, and Ceph, which is connected to by the first that asks.
// Contexts come with each command (cmd.Context()); Ctrl-C cancels them.
type app struct {
	policyPath string
	output     string
	grace      time.Duration // of deletions

	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// connect opens Ceph. Tests put a fake here.
	connect func() (cluster, fileSystem, error)

	// survey looks at this node. Tests put a fake here.
	survey survey

	// functions opens a namespace of a Kubernetes cluster. Tests put a fake here.
	functions func(at kubernetes.Where, namespace string) (functions, error)

	// abilities asks this machine's kernel, installation a Kubernetes cluster.
	// Tests put fakes here.
	abilities    func(ctx context.Context) []ability
	installation installation

	policy  *tenant.Policy
	cluster cluster
	files   fileSystem
}

// loadPolicy reads the policy file, once.
func (a *app) loadPolicy() (*tenant.Policy, error) {
	if a.policy == nil {
		p, err := tenant.Load(a.policyPath)
		if err != nil {
			return nil, fmt.Errorf("%w: name the policy file with --config or SDP_CONFIG", err)
		}
		a.policy = p
	}
	return a.policy, nil
}

// ceph returns Ceph, connected at the first call.
func (a *app) ceph() (cluster, error) {
	if a.cluster == nil {
		c, files, err := a.connect()
		if err != nil {
			return nil, err
		}
		a.cluster, a.files = c, files
	}
	return a.cluster, nil
}

// place returns where a tenant's data lies. The operator may name any tenant
// of the policy; a policy with one cluster needs no cluster named.
func (a *app) place(name, cluster string) (tenant.Place, error) {
	p, err := a.loadPolicy()
	if err != nil {
		return tenant.Place{}, err
	}
	if name == "" {
		return tenant.Place{}, fmt.Errorf("--tenant is missing: name one of the policy's tenants: %w", volume.ErrInvalid)
	}
	return p.Default(name, cluster)
}
