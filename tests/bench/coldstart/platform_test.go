//go:build bench

package coldstart

import (
	"fmt"
	"testing"
	"time"

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
	activator string
	revisions map[string]string
}

func newKnative(s *stand) *knative {
	return &knative{activator: s.activator, revisions: map[string]string{}}
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

// idle waits for Knative to scale to zero, without the half minute for which a
// pod that ends would wait for late requests.
func (*knative) idle(t *testing.T, functions ...function) {
	t.Helper()
	for _, f := range functions {
		if out, err := cluster.Run(t.Context(), "", cluster.Path(t, "hack/knative/idle"), tenant, f.name); err != nil {
			t.Fatal(out, err)
		}
	}
}
