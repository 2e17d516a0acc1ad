//go:build bench

package coldstart

import (
	"fmt"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// platform is who starts functions when requests come. Several requests may be
// under way at once.
type platform interface {
	// name is how reports call it.
	name() string
	// deploy makes functions, none of which runs. They go with the test.
	deploy(t *testing.T, functions ...function)
	// request has a function answer, which is started for it where it does not
	// run. It returns when the client began.
	request(t *testing.T, f function) (time.Time, answer, error)
	// idle waits until no pod of the functions is left.
	idle(t *testing.T, functions ...function)
}

// claims makes the claims of functions and waits until each has its volume.
func claims(t *testing.T, functions ...function) {
	t.Helper()
	var all []cluster.Claim
	for _, f := range functions {
		if f.class != "" {
			all = append(all, f.claim())
		}
	}
	if len(all) > 0 {
		cluster.Bound(t, all...)
	}
}

// knative is a Knative Serving that hack/knative installed: requests go to its
// activator with the revision's headers, as its ingress would send them.
type knative struct {
	api       *kubernetes.Clientset
	activator string
	revisions map[string]string
}

func newKnative(s *stand) *knative {
	return &knative{api: s.api, activator: s.activator, revisions: map[string]string{}}
}

func (*knative) name() string { return "Knative" }

func (k *knative) deploy(t *testing.T, functions ...function) {
	t.Helper()
	claims(t, functions...)
	for _, f := range functions {
		cluster.Apply(t, service(f))
	}
	for _, f := range functions {
		cluster.WaitFor(t, tenant, "condition=Ready", "ksvc/"+f.name)
		k.revisions[f.name] = cluster.Kubectl(t, "-n", tenant, "get", "ksvc", f.name, "-o", "jsonpath={.status.latestCreatedRevisionName}")
	}
}

// service is a function of Knative that has never run when it is ready.
func service(f function) string {
	return fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata: {namespace: %s, name: %s}
spec:
  template:
    metadata: {annotations: {autoscaling.knative.dev/initial-scale: "0"}}
    spec:
      enableServiceLinks: false
%s`, tenant, f.name, f.spec("      "))
}

func (k *knative) request(t *testing.T, f function) (time.Time, answer, error) {
	begin := time.Now()
	a, err := post(t.Context(), k.activator, map[string]string{
		"Knative-Serving-Namespace": tenant, "Knative-Serving-Revision": k.revisions[f.name]})
	return begin, a, err
}

// idle waits for Knative to scale to zero. A pod that it has told to end would
// drain for half a minute more; that is cut short.
func (k *knative) idle(t *testing.T, functions ...function) {
	t.Helper()
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.name
	}
	selector := "serving.knative.dev/service in (" + strings.Join(names, ",") + ")"
	api, soon := k.api.CoreV1().Pods(tenant), int64(1)
	cluster.Eventually(t, "scaling to zero", func() error {
		pods, err := api.List(t.Context(), meta.ListOptions{LabelSelector: selector})
		if err != nil || len(pods.Items) == 0 {
			return err
		}
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil && *pod.DeletionGracePeriodSeconds > soon {
				_ = api.Delete(t.Context(), pod.Name, meta.DeleteOptions{GracePeriodSeconds: &soon})
			}
		}
		return fmt.Errorf("%w: there are %d pods", cluster.ErrNotYet, len(pods.Items))
	})
}
