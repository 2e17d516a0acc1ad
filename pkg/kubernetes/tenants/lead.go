package tenants

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// task is what the queue holds: a cluster of the policy, or a namespace of
// Kubernetes.
type task struct{ cluster, namespace string }

// String is how logs call a task.
func (t task) String() string {
	if t.cluster != "" {
		return "cluster " + t.cluster
	}
	return "namespace " + t.namespace
}

// How soon a task that failed is tried again, and how many run at once.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	workers    = 4
)

// patience bounds one task. A cluster with many tenants that are all new goes
// on at the next try where this one ended.
const patience = 5 * time.Minute

// leading is a controller that has the lease.
type leading struct {
	*Controller
	queue      workqueue.TypedRateLimitingInterface[task]
	namespaces corelisters.NamespaceLister
	secrets    corelisters.SecretLister
}

// lead works until ctx ends.
func (c *Controller) lead(ctx context.Context) error {
	retry := workqueue.NewTypedItemExponentialFailureRateLimiter[task](firstRetry, lastRetry)
	l := &leading{Controller: c, queue: workqueue.NewTypedRateLimitingQueue(retry)}
	c.Metrics.lead(true)
	defer c.Metrics.lead(false)
	ctx, cancel := context.WithCancel(ctx)
	stop, err := l.watch(ctx)
	defer stop()
	defer cancel()
	if err != nil || ctx.Err() != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, l.queue.ShutDown)()
	group.Go(func() error { l.poll(ctx); return nil })
	group.Go(func() error { l.openDesks(ctx); return nil })
	for range workers {
		group.Go(func() error { l.work(ctx); return nil })
	}
	return group.Wait()
}

// watch fills the queue from the API server until ctx ends. It returns when
// all that is there was seen. stop waits for the end.
func (l *leading) watch(ctx context.Context) (stop func(), err error) {
	all := informers.NewSharedInformerFactory(l.Client, 0)
	own := informers.NewSharedInformerFactoryWithOptions(l.Client, 0, informers.WithNamespace(l.Namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = ownSelector().String() }))
	namespaces, secrets := all.Core().V1().Namespaces(), own.Core().V1().Secrets()
	l.namespaces, l.secrets = namespaces.Lister(), secrets.Lister()
	stop = func() { all.Shutdown(); own.Shutdown() }
	if err := l.enqueueFrom(namespaces.Informer(), func(o metav1.Object) string { return o.GetName() }); err != nil {
		return stop, err
	}
	if err := l.enqueueFrom(secrets.Informer(), func(o metav1.Object) string { return o.GetLabels()[labelNamespace] }); err != nil {
		return stop, err
	}
	all.StartWithContext(ctx)
	own.StartWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), namespaces.Informer().HasSynced, secrets.Informer().HasSynced) && ctx.Err() == nil {
		return stop, fmt.Errorf("list namespaces and Secrets: %w", volume.ErrUnavailable)
	}
	return stop, nil
}

func (l *leading) enqueueFrom(i cache.SharedIndexInformer, namespace func(metav1.Object) string) error {
	add := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if o, ok := object.(metav1.Object); ok && namespace(o) != "" {
			l.queue.Add(task{namespace: namespace(o)})
		}
	}
	_, err := i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, DeleteFunc: add,
		// The old object too: somebody can have taken the label off.
		UpdateFunc: func(old, now any) { add(old); add(now) },
	})
	if err != nil {
		return fmt.Errorf("watch: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// work does one task after the other.
func (l *leading) work(ctx context.Context) {
	for {
		t, shutdown := l.queue.Get()
		if shutdown {
			return
		}
		l.one(ctx, t)
	}
}

func (l *leading) one(ctx context.Context, t task) {
	defer l.queue.Done(t)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := l.do(ctx, t); err != nil {
		if ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "not reconciled, it is tried again", "what", t.String())
		}
		l.queue.AddRateLimited(t)
		return
	}
	l.queue.Forget(t)
}

func (l *leading) do(ctx context.Context, t task) error {
	if t.cluster != "" {
		return l.syncCluster(ctx, t.cluster)
	}
	return l.syncNamespace(ctx, t.namespace)
}

// everyNamespace has the Secrets of all namespaces looked at.
func (l *leading) everyNamespace() {
	all, err := l.namespaces.List(labels.Everything())
	if err != nil {
		return // a lister reads memory
	}
	for _, n := range all {
		l.queue.Add(task{namespace: n.Name})
	}
}

// poll asks Ceph for news, looks at the policy, and resyncs, until ctx ends.
func (l *leading) poll(ctx context.Context) {
	tick := time.NewTicker(l.Poll)
	defer tick.Stop()
	news := news{marks: map[string]string{}}
	for {
		for _, id := range news.look(ctx, l.Options, time.Now()) {
			l.queue.Add(task{cluster: id})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// news is what was seen at the last look.
type news struct {
	policy *tenant.Policy
	marks  map[string]string // by cluster
	full   time.Time         // when everything was last due
}

// look returns the clusters to sync: all with a new policy and at each resync,
// otherwise those in which something has changed.
func (n *news) look(ctx context.Context, o Options, now time.Time) (due []string) {
	policy := o.Policy()
	all := policy != n.policy || now.Sub(n.full) >= o.Resync
	if all {
		n.policy, n.full = policy, now
	}
	for _, cluster := range policy.Clusters() {
		mark, err := n.mark(ctx, o, cluster.ID)
		if err != nil {
			// Whatever hinders it is told by the sync.
			klog.FromContext(ctx).V(2).Info("Ceph was not asked for news", "cluster", cluster.ID, "err", err)
		}
		if all || (err == nil && mark != n.marks[cluster.ID]) {
			due = append(due, cluster.ID)
		}
		if err == nil {
			n.marks[cluster.ID] = mark
		}
	}
	return due
}

func (n *news) mark(ctx context.Context, o Options, cluster string) (string, error) {
	at, err := n.policy.Pool(cluster)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return o.Registrar(n.policy).Mark(ctx, at)
}

// leaving says whether a namespace is on its way out: nothing can be made in it.
func leaving(n *corev1.Namespace) bool { return n.DeletionTimestamp != nil }
