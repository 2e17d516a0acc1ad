package verify

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/deploy/verify/templates"
)

const chart = "../helm/sdp-csi"

// TestChartIsWritten: the templates are those that `make chart` writes.
func TestChartIsWritten(t *testing.T) {
	made, err := templates.Make(os.DirFS(manifests))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		got, err := os.ReadFile(filepath.Join(chart, "templates", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what deploy/kubernetes makes of it: run make chart (%v)", name, err)
		}
	}
}

// TestChartIsTheBase: an installation of the chart has the objects of the base
// and of the components that its values ask for, field by field.
func TestChartIsTheBase(t *testing.T) {
	on := map[string]any{"enabled": true}
	for name, tc := range map[string]struct {
		components []string
		values     map[string]any
	}{
		"defaults": {},
		"mounter":  {[]string{"mounter"}, map[string]any{"mounter": on}},
		"metrics":  {[]string{"metrics"}, map[string]any{"metrics": on}},
		"all": {[]string{"mounter", "metrics", "inline"},
			map[string]any{"mounter": on, "metrics": on, "inline": map[string]any{"everywhere": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			want := byKey(t, with(t, tc.components...))
			delete(want, "Namespace /sdp-csi") // Helm makes it by itself
			installed, err := Helm(chart, "sdp-csi", tc.values)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, byKey(t, installed), want)
		})
	}
}

func byKey(t *testing.T, objects []Object) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" {
			readPolicy(t, o)
		}
		all[o.Key()] = o.Object
	}
	return all
}

// readPolicy compares the policy by what it says: Helm writes it of its values.
func readPolicy(t *testing.T, o Object) {
	t.Helper()
	data := o.Object["data"].(map[string]any)
	var said any
	if err := yaml.Unmarshal([]byte(data["config.yaml"].(string)), &said); err != nil {
		t.Fatal(err)
	}
	data["config.yaml"] = said
}

func compare(t *testing.T, got, want map[string]map[string]any) {
	t.Helper()
	for key := range got {
		if want[key] == nil {
			t.Errorf("the chart alone has %s", key)
		}
	}
	for key, w := range want {
		if g := got[key]; !reflect.DeepEqual(g, w) {
			gText, _ := yaml.Marshal(g)
			wText, _ := yaml.Marshal(w)
			t.Errorf("%s differs. The chart:\n%s\nThe base:\n%s", key, gText, wText)
		}
	}
}

// TestOtherNamespace: nothing of the chart names a namespace of its own.
func TestOtherNamespace(t *testing.T) {
	installed, err := Helm(chart, "elsewhere", map[string]any{"mounter": map[string]any{"enabled": true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range installed {
		if n := o.GetNamespace(); n != "" && n != "elsewhere" {
			t.Errorf("%s is in %s", o.Key(), n)
		}
		for _, s := range asList(o.Object["subjects"]) {
			if n := s.(map[string]any)["namespace"]; n != "elsewhere" {
				t.Errorf("%s names an account of %v", o.Key(), n)
			}
		}
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}
