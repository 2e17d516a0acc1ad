//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// openFaaS: the API server gives a Deployment that OpenFaaS would make the
// golden that its annotations ask for, and leaves others alone.
func (s *scene) openFaaS(t *testing.T) {
	policy, err := os.ReadFile(examples + "openfaas/policy.yaml")
	s.must(t, err)
	cluster.Apply(t, cluster.Namespace("openfaas-fn"))
	cluster.Apply(t, string(policy))
	asked := "golden.data.sdp.dev/golden: public/resnet50:v2, golden.data.sdp.dev/path: /data/model"
	for name, c := range map[string]struct{ annotations, volume string }{
		"inline":   {asked, `golden csi.sdp.dev public/resnet50:v2 true sdp-ro`},
		"by-claim": {asked + ", golden.data.sdp.dev/claim: resnet50", `golden resnet50 true`},
	} {
		t.Run(name, func(t *testing.T) {
			text := faasDeployment(name, c.annotations)
			t.Cleanup(func() { cluster.Remove(t, text) })
			// A policy comes into force some time after it is made.
			cluster.Eventually(t, "the policy", func() error {
				cluster.Remove(t, text)
				return applied(t, text, name, c.volume+" /data/model true")
			})
		})
	}
	text := faasDeployment("plain", "")
	cluster.Apply(t, text)
	if seen := strings.Fields(shownVolumes(t, "plain")); len(seen) != 0 {
		t.Errorf("a function that asks for nothing has %q", seen)
	}
}

// applied makes a Deployment, changes it as OpenFaaS does with a function that
// is deployed again, and compares its volume and mount.
func applied(t testing.TB, text, name, want string) error {
	t.Helper()
	if _, err := cluster.Run(t.Context(), text, "kubectl", "apply", "-f", "-"); err != nil {
		return err
	}
	cluster.Kubectl(t, "-n", "openfaas-fn", "set", "env", "deployment/"+name, "DEPLOYED=again")
	if seen := shownVolumes(t, name); strings.Join(strings.Fields(seen), " ") != want {
		return fmt.Errorf("%w: it has %q, not %q", cluster.ErrNotYet, seen, want)
	}
	return nil
}

// shownVolumes prints the volumes and mounts of a Deployment's pods.
func shownVolumes(t testing.TB, name string) string {
	t.Helper()
	return cluster.Kubectl(t, "-n", "openfaas-fn", "get", "deployment", name, "-o", `jsonpath={range .spec.template.spec.volumes[*]}{.name} `+
		`{.csi.driver} {.csi.volumeAttributes.golden} {.csi.readOnly} {.csi.nodePublishSecretRef.name} `+
		`{.persistentVolumeClaim.claimName} {.persistentVolumeClaim.readOnly}{end} `+
		`{range .spec.template.spec.containers[0].volumeMounts[*]}{.mountPath} {.readOnly}{end}`)
}

// faasDeployment is a function as OpenFaaS has it, of no replicas.
func faasDeployment(name, annotations string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {namespace: openfaas-fn, name: %[1]s, annotations: {%[2]s}}
spec:
  replicas: 0
  selector: {matchLabels: {faas_function: %[1]s}}
  template:
    metadata: {labels: {faas_function: %[1]s}, annotations: {%[2]s}}
    spec:
      containers: [{name: %[1]s, image: %[3]s}]
`, name, annotations, cluster.FunctionImage)
}
