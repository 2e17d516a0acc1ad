package checkup

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	sdp "github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Options are what an installation is compared with.
type Options struct {
	Client    kubernetes.Interface
	Namespace string // the driver's
	// Golden says whether a class's golden can be used; nil: nobody is asked.
	Golden func(ctx context.Context, cluster string, ref volume.GoldenRef) error
	// Fields are what the node Secret of a namespace is to hold; none for a
	// namespace of no tenant. nil: nobody is asked.
	Fields func(ctx context.Context, namespace string) (map[string]string, error)
}

const (
	area       = "kubernetes"
	driverName = "csi.sdp.dev"
	// manifests is the remedy for what is missing as a whole.
	manifests = "apply deploy/kubernetes"
)

// Run looks at everything.
func Run(ctx context.Context, o Options) []Finding {
	c := &checkup{Options: o, Findings: Findings{Area: area}}
	c.driver(ctx)
	c.programs(ctx)
	c.classes(ctx)
	c.secrets(ctx)
	return c.All
}

type checkup struct {
	Options
	Findings
}

// driver looks at the CSIDriver object.
func (c *checkup) driver(ctx context.Context) {
	const check = "CSIDriver " + driverName
	d, err := c.Client.StorageV1().CSIDrivers().Get(ctx, driverName, metav1.GetOptions{})
	if err != nil {
		c.Unanswered(check, manifests, sdp.Classify(err))
		return
	}
	switch s := d.Spec; {
	case s.PodInfoOnMount == nil || !*s.PodInfoOnMount:
		c.Bad(check, "set podInfoOnMount: true", "kubelet does not tell whose pods are: all are refused, or none")
	case s.AttachRequired == nil || *s.AttachRequired:
		c.Bad(check, "delete the object and apply it again with attachRequired: false", "every pod waits for an attachment that nobody makes")
	case !slices.Contains(s.VolumeLifecycleModes, storagev1.VolumeLifecycleEphemeral):
		c.Doubt(check, "delete the object and apply it again with volumeLifecycleModes: [Persistent, Ephemeral]", "inline volumes are refused")
	default:
		c.Good(check, "is as it should be")
	}
}

const componentLabel = "app.kubernetes.io/component"

// programs looks at the driver's Deployments and DaemonSets, and at the
// containers of their pods.
func (c *checkup) programs(ctx context.Context) {
	own := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=sdp-csi"}
	deployments, err := c.Client.AppsV1().Deployments(c.Namespace).List(ctx, own)
	if err != nil {
		c.Unanswered("Deployments", manifests, sdp.Classify(err))
		return
	}
	daemons, err := c.Client.AppsV1().DaemonSets(c.Namespace).List(ctx, own)
	if err != nil {
		c.Unanswered("DaemonSets", manifests, sdp.Classify(err))
		return
	}
	found := map[string]bool{}
	for _, d := range deployments.Items {
		found[d.Labels[componentLabel]] = true
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		c.ready("Deployment "+d.Name, d.Status.ReadyReplicas, wanted)
	}
	for _, d := range daemons.Items {
		found[d.Labels[componentLabel]] = true
		c.ready("DaemonSet "+d.Name, d.Status.NumberReady, d.Status.DesiredNumberScheduled)
	}
	for _, component := range []string{"controller", "node"} {
		if !found[component] {
			c.Bad("the "+component, manifests, "nothing with the label %s=%s is in namespace %s", componentLabel, component, c.Namespace)
		}
	}
	c.containers(ctx, own)
}

func (c *checkup) ready(check string, ready, wanted int32) {
	switch {
	case wanted == 0:
		c.Doubt(check, "look at its node selector and tolerations, or at its replicas", "no pod of it is wanted")
	case ready < wanted:
		c.Bad(check, "look at the containers named here, and at `kubectl describe` of the pods", "%d of %d pods are ready", ready, wanted)
	default:
		c.Good(check, "%d of %d pods are ready", ready, wanted)
	}
}

// containers tells which containers do not run, sidecars too.
func (c *checkup) containers(ctx context.Context, own metav1.ListOptions) {
	pods, err := c.Client.CoreV1().Pods(c.Namespace).List(ctx, own)
	if err != nil {
		c.Unanswered("pods", manifests, sdp.Classify(err))
		return
	}
	for _, p := range pods.Items {
		for _, s := range p.Status.ContainerStatuses {
			if !s.Ready && p.DeletionTimestamp == nil {
				c.Bad("container "+s.Name+" of pod "+p.Name, fmt.Sprintf("kubectl logs -n %s %s -c %s", c.Namespace, p.Name, s.Name), "is not ready%s", reason(s))
			}
		}
	}
}

func reason(s corev1.ContainerStatus) string {
	switch {
	case s.State.Waiting != nil:
		return ": " + s.State.Waiting.Reason
	case s.State.Terminated != nil:
		return ": " + s.State.Terminated.Reason
	}
	return fmt.Sprintf(", restarted %d times", s.RestartCount)
}
