package checkup

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sdp "github.com/sdp-csi/sdp-csi/pkg/kubernetes"
)

const componentLabel = "app.kubernetes.io/component"

// needed are the components without which there are no volumes.
func needed() []string { return []string{"controller", "node"} }

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
		component := d.Labels[componentLabel]
		found[component] = true
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		c.ready("Deployment "+d.Name, component, d.Status.ReadyReplicas, wanted)
	}
	for _, d := range daemons.Items {
		component, wanted := d.Labels[componentLabel], d.Status.DesiredNumberScheduled
		found[component] = true
		c.ready("DaemonSet "+d.Name, component, d.Status.NumberReady, wanted)
		if component == "node" && d.Status.NumberReady > 0 {
			c.registered(ctx, int(d.Status.NumberReady))
		}
	}
	for _, component := range needed() {
		if !found[component] {
			c.Bad("the "+component, manifests, "nothing with the label %s=%s is in namespace %s", componentLabel, component, c.Namespace)
		}
	}
	c.containers(ctx, own)
}

func (c *checkup) ready(check, component string, ready, wanted int32) {
	const unwanted, look = "no pod of it is wanted", "look at its node selector and tolerations, or at its replicas"
	switch {
	case wanted == 0 && slices.Contains(needed(), component):
		c.Bad(check, look, unwanted)
	case wanted == 0:
		c.Doubt(check, look, unwanted)
	case ready < wanted:
		c.Bad(check, "look at the containers named here, and at `kubectl describe` of the pods", "%d of %d pods are ready", ready, wanted)
	default:
		c.Good(check, "%d of %d pods are ready", ready, wanted)
	}
}

// registered looks whether the kubelets of the nodes that have a pod know the
// driver: where a kubelet has another directory, pods are well and nobody is
// served.
func (c *checkup) registered(ctx context.Context, pods int) {
	const check = "the kubelets"
	nodes, err := c.Client.StorageV1().CSINodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		c.Unanswered(check, manifests, sdp.Classify(err))
		return
	}
	know := 0
	for _, n := range nodes.Items {
		if slices.ContainsFunc(n.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driverName }) {
			know++
		}
	}
	if know < pods {
		c.Bad(check, "look at the logs of node-driver-registrar, and whether kubelet's directory is the one in the DaemonSet's paths",
			"%d of %d that have a pod know the driver", know, pods)
		return
	}
	c.Good(check, "of %d nodes know the driver", know)
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
