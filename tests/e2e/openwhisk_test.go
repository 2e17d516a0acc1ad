//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
	"github.com/sdp-csi/sdp-csi/tests/openwhisk"
)

const examples = "../../deploy/kubernetes/examples/"

// words is what globex' golden has, which the example's template shows.
const words = "aardvark abacus abandon\n"

// openWhisk: of the pod templates of two tenants' invokers OpenWhisk makes
// action pods that read their own tenant's golden, and none reads the other's,
// not even where an invoker had the other's template.
func (s *scene) openWhisk(t *testing.T) {
	s.seedWords(t)
	cluster.Apply(t, cluster.Class("sdp-dictionary", "Immediate", `golden: "dictionary:v1"`))
	cluster.Bound(t, cluster.Claim{Namespace: "globex", Name: "dictionary", Class: "sdp-dictionary"})
	cluster.Apply(t, actionPod(t, "acme", "acme", "wsk-acme"), actionPod(t, "globex", "globex", "wsk-globex"))
	cluster.WaitFor(t, "acme", "condition=Ready", "pod/wsk-acme")
	cluster.WaitFor(t, "globex", "condition=Ready", "pod/wsk-globex")
	if sum := cluster.Shell(t, "acme", "wsk-acme", "sha256sum </data/model/model.h5"); !strings.HasPrefix(sum, s.model) {
		t.Errorf("acme's action reads %s, not %s", sum, s.model)
	}
	if read := cluster.Shell(t, "globex", "wsk-globex", "cat /data/dictionary/words"); read != strings.TrimSpace(words) {
		t.Errorf("globex' action reads %q", read)
	}
	for _, see := range [][3]string{{"acme", "wsk-acme", "model"}, {"globex", "wsk-globex", "dictionary"}} {
		if seen := cluster.Shell(t, see[0], see[1], "ls /data"); seen != see[2] {
			t.Errorf("%s sees %q in /data", see[1], seen)
		}
	}
	s.otherTemplates(t)
}

// otherTemplates: a template of one tenant in the other's namespace shows
// nothing.
func (s *scene) otherTemplates(t *testing.T) {
	for _, c := range []struct{ template, namespace, says string }{
		{"acme", "globex", "MountVolume"},
		{"globex", "acme", `"dictionary" not found`},
	} {
		thief := "wsk-" + c.namespace + "-as-" + c.template
		cluster.Apply(t, actionPod(t, c.template, c.namespace, thief))
		t.Log(cluster.Event(t, c.namespace, thief, c.says))
		s.neverRan(t, c.namespace, thief)
	}
}

// seedWords gives globex a golden of its own, and waits until globex' nodes
// have its key.
func (s *scene) seedWords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "words")
	s.must(t, os.WriteFile(file, []byte(words), 0o644))
	golden := cluster.Golden{Tenant: "globex", Name: "dictionary:v1", Backend: "rbd", File: file}
	s.Seed(t, golden)
	s.WaitForKeys(t, "globex", golden)
}

// actionPod is the pod that OpenWhisk makes of a tenant's template, in a
// namespace.
func actionPod(t testing.TB, template, namespace, name string) string {
	t.Helper()
	text, err := os.ReadFile(examples + "openwhisk/invoker-" + template + "/pod-template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pod, err := openwhisk.Merge(text, openwhisk.Action{Pod: name, Image: cluster.FunctionImage, Megabytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	pod.Namespace = namespace
	stayUp(&pod.Spec)
	manifest, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return string(manifest)
}

// stayUp makes the tests' image do what an action's image does by itself.
func stayUp(spec *core.PodSpec) {
	grace := int64(1)
	spec.TerminationGracePeriodSeconds = &grace
	for i := range spec.Containers {
		spec.Containers[i].ImagePullPolicy = core.PullNever
		spec.Containers[i].Command = []string{"sh", "-c", "exec sleep 2147483647"}
	}
}
