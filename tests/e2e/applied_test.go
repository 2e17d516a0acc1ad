//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

const manifests = "../../deploy/kubernetes"

// admitted: the API server takes what no other case applies, up to storing it:
// the base alone, every overlay, and the base with all components.
func (s *scene) admitted(t *testing.T) {
	cluster.Apply(t, cluster.Namespace("rook-ceph"))
	dir := t.TempDir()
	s.must(t, os.CopyFS(dir, os.DirFS(manifests)))
	all, err := fs.Glob(os.DirFS(dir), "overlays/*")
	s.must(t, err)
	for name, text := range tried(append(all, "base", "classes")) {
		t.Run(name, func(t *testing.T) {
			try, err := os.MkdirTemp(dir, "try-")
			s.must(t, err)
			s.must(t, os.WriteFile(filepath.Join(try, "kustomization.yaml"), []byte(text), 0o644))
			objects := known(t, cluster.Kubectl(t, "kustomize", try))
			out, err := cluster.Run(t.Context(), objects, "kubectl", "apply", "--dry-run=server", "-f", "-")
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d objects", strings.Count(out, "\n"))
		})
	}
}

// tried are kustomizations of directories, and of the base with all components.
// Their objects are not those that are there, which could be changed little.
func tried(directories []string) map[string]string {
	const prefix = "namePrefix: tried-\nresources: [../"
	all := map[string]string{
		"components": prefix + "base]\ncomponents: [../components/mounter, ../components/metrics, ../components/inline]\n",
	}
	for _, name := range directories {
		all[name] = prefix + name + "]\n"
	}
	return all
}

// known leaves out the objects whose types other projects bring into a cluster,
// which deploy/verify holds to those types.
func known(t testing.TB, objects string) string {
	t.Helper()
	var kept []string
	for object := range strings.SplitSeq(objects, "\n---\n") {
		var head struct{ APIVersion string }
		if err := yaml.Unmarshal([]byte(object), &head); err != nil {
			t.Fatal(err)
		}
		group, _, _ := strings.Cut(head.APIVersion, "/")
		if !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io") {
			kept = append(kept, object)
		}
	}
	return strings.Join(kept, "\n---\n")
}

// chart: what the Helm chart installs serves a claim and a volume without one.
// It comes last, because the driver that the other cases use goes for it.
func (s *scene) chart(t *testing.T) {
	s.Uninstall(t)
	s.InstallChart(t)
	s.WaitForKeys(t, "acme", s.goldens()...)
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "charted", Class: classGolden})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "charted", Volume: cluster.Of("charted")},
		cluster.Function{Namespace: "acme", Name: "charted-inline", Volume: inline("resnet50:v1")})
	s.readsModel(t, "acme", "charted")
	s.readsModel(t, "acme", "charted-inline")
}
