package verify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstallGuide renders the kustomization that docs/guides/install.md shows,
// with the files that it asks for: what is told is what is applied.
func TestInstallGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/install.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := scratch(t, "../..")
	for _, name := range []string{"kustomization.yaml", "config.yaml"} {
		write(t, dir, name, block(t, string(text), "# site/"+name+"\n"))
	}
	for _, name := range []string{"key-controller", "key-tenants"} {
		write(t, dir, name, "a key of "+name)
	}
	objects := render(t, dir)
	decode(t, objects)
	all := byKey(t, objects)
	for _, name := range []string{"sdp-controller-key", "sdp-tenants-key"} {
		if all["Secret sdp-csi/"+name] == nil {
			t.Errorf("there is no Secret %s", name)
		}
	}
	rows, _ := all["ConfigMap sdp-csi/sdp-config"]["data"].(map[string]any)["config.yaml"].(map[string]any)["clusters"].([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["pool"] != "functions" {
		t.Errorf("the guide's policy did not replace the base's: %v", rows)
	}
}

// block returns the fenced block of a guide that begins with a line.
func block(t *testing.T, guide, line string) string {
	t.Helper()
	_, rest, found := strings.Cut(guide, line)
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("the guide has no block that begins with %q", line)
	}
	return text
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRook: everything is in Rook's namespace, where its ConfigMap and Secrets
// can be mounted, and nothing is left of the base's.
func TestRook(t *testing.T) {
	objects := render(t, manifests+"/overlays/rook")
	for _, o := range objects {
		if n := o.GetNamespace(); n != "" && n != "rook-ceph" || o.GetKind() == "Namespace" {
			t.Errorf("%s is not in Rook's namespace", o.Key())
		}
	}
	mounted := map[string]int{}
	for _, o := range decode(t, objects) {
		pods, _ := Pods(o)
		for _, v := range pods.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil {
					mounted[s.ConfigMap.Name]++
				}
				if s.Secret != nil {
					mounted[s.Secret.Name]++
				}
			}
		}
	}
	for name, times := range map[string]int{"rook-ceph-mon-endpoints": 3, "rook-ceph-client-sdp": 1, "rook-ceph-client-sdp-tenants": 1, "sdp-controller-key": 0, "sdp-tenants-key": 0} {
		if mounted[name] != times {
			t.Errorf("%s is mounted %d times, not %d", name, mounted[name], times)
		}
	}
}
