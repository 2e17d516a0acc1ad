package tenants

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Registrar makes tenants in Ceph and tells their keys. tenant.Registrar
// implements it. Safe for concurrent use.
type Registrar interface {
	// Ensure makes what the tenant lacks; one that an operator revoked stays
	// out and wraps volume.ErrDenied.
	Ensure(ctx context.Context, at tenant.Place) error
	// Sync makes what all users of a cluster may do equal to the policy.
	Sync(ctx context.Context, at tenant.Place) ([]volume.GoldenRef, error)
	// Keys returns the tenant's keys in force.
	Keys(ctx context.Context, at tenant.Place) (tenant.Keys, error)
	// Mark returns a text that changes when Sync or Keys have news. It must
	// be cheap: it is asked at each Poll.
	Mark(ctx context.Context, at tenant.Place) (string, error)
}

// Options are what a Controller works on and how. All are needed but those
// that say otherwise.
type Options struct {
	Client    kubernetes.Interface
	Namespace string // the driver's, in which the nodes' Secrets are
	Identity  string // of this process among its replicas
	Policy    func() *tenant.Policy
	Registrar func(*tenant.Policy) Registrar
	// Inline says whether a tenant's pods may have inline volumes; nil: none.
	Inline func(*tenant.Policy, tenant.Place) bool
	// Desk serves what controllers ask of a cluster, users for volumes in its
	// file system, until ctx ends. An error says that it cannot any more, and
	// it is called again; nil: nobody serves. Two that serve at once do no harm.
	Desk func(ctx context.Context, cluster string) error
	// Poll is how often Ceph is asked for news: how long a golden that was
	// just sealed waits for its key to be in the Secrets (30 seconds).
	Poll time.Duration
	// Resync is how often everything is looked at without news (10 minutes).
	Resync  time.Duration
	Metrics *Metrics
}

// The times of an election: a leader that is cut off from the API server
// stops before another one begins.
const (
	leaseName     = "sdp-csi-tenants"
	leaseFor      = 30 * time.Second
	renewWithin   = 20 * time.Second
	retryElection = 5 * time.Second
)

// Controller keeps tenants and Secrets as the policy wants them, while it
// leads its replicas. Two that lead at once do the same and no harm.
type Controller struct {
	Options
	events  record.EventRecorder
	elector atomic.Pointer[leaderelection.LeaderElector]
}

// New returns a Controller.
func New(o Options) *Controller {
	if o.Poll <= 0 {
		o.Poll = 30 * time.Second
	}
	if o.Resync <= 0 {
		o.Resync = 10 * time.Minute
	}
	return &Controller{Options: o}
}

// errLost is Run's answer when another replica has taken over.
var errLost = fmt.Errorf("the lease %s was lost to another replica, or the API server did not answer: %w", leaseName, volume.ErrUnavailable)

// Run waits for the lease and leads until ctx ends. It returns an error when
// the lease is lost: the process should end and begin again.
func (c *Controller) Run(ctx context.Context) error {
	stop := c.openEvents(ctx)
	defer stop()
	ended, begun := make(chan error, 1), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: leaseName, LeaseDuration: leaseFor, RenewDeadline: renewWithin, RetryPeriod: retryElection, ReleaseOnCancel: true,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: leaseName},
			Client:    c.Client.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
		},
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { close(begun); ended <- c.lead(ctx) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("prepare the election: %w: %w", err, volume.ErrInvalid)
	}
	c.elector.Store(elector)
	return c.run(ctx, elector, begun, ended)
}

// goodbye bounds the end of leading: whom others ask tells them that he goes,
// so that they do not wait for his answer.
const goodbye = 10 * time.Second

// await waits for the end of leading, if it has begun, and returns how it ended.
func await(begun <-chan struct{}, ended <-chan error) error {
	select {
	case <-begun:
	default:
		return nil
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(goodbye):
		return nil
	}
}

// run gives the lease up when leading fails by itself.
func (c *Controller) run(ctx context.Context, elector *leaderelection.LeaderElector, begun <-chan struct{}, ended <-chan error) error {
	electing, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		elector.Run(electing)
	}()
	select {
	case err := <-ended: // while the lease is held, or because it is lost
		cancel()
		<-done
		if err == nil && ctx.Err() == nil {
			err = errLost
		}
		return err
	case <-done:
	}
	err := await(begun, ended)
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errLost, err)
}

// Healthy says whether this replica leads or waits to. It is not healthy when
// it believes to lead and could not renew its lease.
func (c *Controller) Healthy(context.Context) error {
	e := c.elector.Load()
	if e == nil {
		return nil
	}
	if err := e.Check(renewWithin); err != nil {
		return errors.Join(errLost, err)
	}
	return nil
}

// openEvents begins to send events to the API server.
func (c *Controller) openEvents(ctx context.Context) (stop func()) {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: c.Client.CoreV1().Events("")})
	c.events = b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: leaseName})
	return b.Shutdown
}
