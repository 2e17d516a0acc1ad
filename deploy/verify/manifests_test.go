package verify

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const manifests = "../kubernetes"

// kustomizations are the directories that are applied, not the components.
func kustomizations(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(manifests, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "kustomization.yaml" {
			return err
		}
		var head struct{ Kind string }
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.Unmarshal(text, &head)
		}
		if head.Kind == "Kustomization" {
			dirs = append(dirs, filepath.Dir(path))
		}
		return err
	})
	if err != nil || len(dirs) < 5 {
		t.Fatalf("found %q: %v", dirs, err)
	}
	return dirs
}

func render(t *testing.T, dir string) []Object {
	t.Helper()
	objects, err := Kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func types(t *testing.T) Types {
	t.Helper()
	known, err := NewTypes()
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// decode returns the objects as their types, and fails on any that is not.
// Those of other projects' types, as the examples and Rook have, are left to
// their own tests.
func decode(t *testing.T, objects []Object) []runtime.Object {
	t.Helper()
	known := types(t)
	var typed []runtime.Object
	for _, o := range objects {
		if !known.Knows(o) && foreign(o) {
			continue
		}
		one, err := known.Decode(o)
		if err != nil {
			t.Error(err)
			continue
		}
		typed = append(typed, one)
	}
	return typed
}

// foreign says whether the object's group is of none of the types known here.
func foreign(o Object) bool {
	group, _, _ := strings.Cut(o.GetAPIVersion(), "/")
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") && group != "monitoring.coreos.com"
}

// TestKustomizations renders every directory and reads it strictly.
func TestKustomizations(t *testing.T) {
	for _, dir := range kustomizations(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			if decode(t, render(t, dir)) == nil {
				t.Error("there is nothing in it")
			}
		})
	}
}

func TestComponents(t *testing.T) {
	for _, c := range []string{"mounter", "metrics", "inline"} {
		t.Run(c, func(t *testing.T) {
			if got := decode(t, with(t, c)); len(got) <= len(render(t, manifests+"/base")) {
				t.Error("the component adds no object")
			}
		})
	}
}

// TestOrder: the component metrics has patches for what mounter brings, so it
// must not come before it, where it would leave that out without a word.
func TestOrder(t *testing.T) {
	if _, err := Kustomize(combination(t, "metrics", "mounter")); err == nil {
		t.Error("metrics may be listed before mounter")
	}
}

// with renders the base with components.
func with(t *testing.T, components ...string) []Object {
	t.Helper()
	return render(t, combination(t, components...))
}

// combination is a directory of the base with components, beside them.
func combination(t *testing.T, components ...string) string {
	t.Helper()
	dir := scratch(t, manifests)
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../base]\n"
	if len(components) > 0 {
		text += "components: [../components/" + strings.Join(components, ", ../components/") + "]\n"
	}
	write(t, dir, "kustomization.yaml", text)
	return dir
}

// scratch makes a directory inside another: a kustomization reaches what is
// beside it.
func scratch(t *testing.T, inside string) string {
	t.Helper()
	dir, err := os.MkdirTemp(inside, ".verify-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestDriver holds the CSIDriver to the design.
func TestDriver(t *testing.T) {
	for _, o := range decode(t, render(t, manifests+"/base")) {
		d, ok := o.(*storage.CSIDriver)
		if !ok {
			continue
		}
		s := d.Spec
		if d.Name != "csi.sdp.dev" || *s.AttachRequired || !*s.PodInfoOnMount || *s.SELinuxMount || *s.StorageCapacity || *s.RequiresRepublish ||
			*s.FSGroupPolicy != storage.ReadWriteOnceWithFSTypeFSGroupPolicy || len(s.VolumeLifecycleModes) != 2 {
			t.Errorf("%s: %+v", d.Name, s)
		}
		return
	}
	t.Error("there is no CSIDriver")
}

// TestPrivileges: pods that do not mount keep to the level «restricted», and
// of those that do, only the containers that mount are privileged.
func TestPrivileges(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	mounting := map[string]string{"sdp-node": "sdp-csi", "sdp-mounter": "mounter"}
	for _, o := range decode(t, with(t, "mounter", "metrics", "inline")) {
		pods, ok := Pods(o)
		if !ok {
			continue
		}
		name := pods.Spec.ServiceAccountName
		if mounts, ok := mounting[name]; ok {
			onlyPrivileged(t, name, pods.Spec, mounts)
			continue
		}
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pods.ObjectMeta, &pods.Spec)); !r.Allowed {
			t.Errorf("%s is not restricted: %s", name, r.ForbiddenDetail())
		}
	}
}

func onlyPrivileged(t *testing.T, name string, spec core.PodSpec, container string) {
	t.Helper()
	if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
		t.Errorf("%s has a token", name)
	}
	for _, c := range spec.Containers {
		s := c.SecurityContext
		if privileged := s.Privileged != nil && *s.Privileged; privileged != (c.Name == container) {
			t.Errorf("%s: privileged is %t in container %s", name, privileged, c.Name)
		}
		if c.Name != container && (*s.AllowPrivilegeEscalation || len(s.Capabilities.Drop) != 1) {
			t.Errorf("%s: container %s keeps capabilities", name, c.Name)
		}
		if !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s can write its root", name, c.Name)
		}
	}
}

// TestRights: nobody but the tenants' controller gets at a Secret, the nodes
// at nothing, and no rule has a wildcard.
func TestRights(t *testing.T) {
	holders := map[string]string{} // of roles, by name
	objects := decode(t, with(t, "mounter", "metrics", "inline"))
	for _, o := range objects {
		switch b := o.(type) {
		case *rbac.ClusterRoleBinding:
			holders[b.RoleRef.Name] = b.Subjects[0].Name
		case *rbac.RoleBinding:
			holders[b.RoleRef.Name] = b.Subjects[0].Name
		}
	}
	for _, o := range objects {
		switch r := o.(type) {
		case *rbac.ClusterRole:
			checkRules(t, r.Name, holders[r.Name], r.Rules)
		case *rbac.Role:
			checkRules(t, r.Name, holders[r.Name], r.Rules)
		}
	}
	if len(holders) == 0 {
		t.Error("there is no role")
	}
}

func checkRules(t *testing.T, role, holder string, rules []rbac.PolicyRule) {
	t.Helper()
	if holder != "sdp-controller" && holder != "sdp-tenants" {
		t.Errorf("role %s is of %q", role, holder)
	}
	for _, r := range rules {
		said := strings.Join(append(append(r.APIGroups, r.Resources...), r.Verbs...), " ")
		if strings.Contains(said, "*") || strings.Contains(said, "serviceaccounts") {
			t.Errorf("role %s: %s", role, said)
		}
		if strings.Contains(said, "secrets") && holder != "sdp-tenants" {
			t.Errorf("role %s gets at Secrets: %s", role, said)
		}
	}
}

// TestFlags has the driver itself read the arguments of its containers. The
// program is named by SDP_CSI.
func TestFlags(t *testing.T) {
	program := os.Getenv("SDP_CSI")
	if program == "" {
		t.Fatal("SDP_CSI does not name the program sdp-csi: run make verify-manifests")
	}
	asked := 0
	for _, o := range decode(t, with(t, "mounter", "metrics", "inline")) {
		pods, ok := Pods(o)
		if !ok {
			continue
		}
		for _, c := range pods.Spec.Containers {
			if !strings.HasPrefix(c.Image, "sdp-csi:") {
				continue
			}
			asked++
			// With --help flags are read, and nothing is served.
			if out, err := exec.Command(program, append(c.Args, "--help")...).CombinedOutput(); err != nil {
				t.Errorf("%s: %q: %v: %.300s", c.Name, c.Args, err, out)
			}
		}
	}
	if asked != 4 {
		t.Errorf("asked %d containers, not 4", asked)
	}
}

// TestGuides: what the guides tell to apply is there.
func TestGuides(t *testing.T) {
	guides, err := filepath.Glob("../../docs/guides/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatal(guides, err)
	}
	paths := regexp.MustCompile(`deploy/(?:kubernetes|helm)/[a-z0-9/._-]*[a-z0-9]`)
	for _, g := range guides {
		text, err := os.ReadFile(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths.FindAllString(string(text), -1) {
			if _, err := os.Stat("../../" + path); err != nil {
				t.Errorf("%s: %v", filepath.Base(g), err)
			}
		}
	}
}
