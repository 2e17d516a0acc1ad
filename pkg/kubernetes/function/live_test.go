package function

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	core "k8s.io/client-go/testing"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func ksvc() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": map[string]any{"name": "classify", "namespace": "acme"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"timeoutSeconds": int64(30), "containers": []any{map[string]any{"name": "f", "image": "i", "unknown": "kept"}},
		}}},
	}}
}

func cluster(objects ...runtime.Object) (*Live, *fake.FakeDynamicClient) {
	lists := map[schema.GroupVersionResource]string{}
	for _, k := range kinds() {
		if !k.resource.Empty() {
			lists[k.resource] = k.name + "List"
		}
	}
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists, objects...)
	return NewLive(&kubernetes.Clients{Dynamic: client, Namespace: "default"}, "acme"), client
}

func TestChangeOfALiveObject(t *testing.T) {
	live, client := cluster(ksvc())
	w := Which{Kind: "ksvc", Name: "classify"}
	b := binding(t, "m:v1", "sha256:aa", "/m")
	for range 2 {
		if err := live.Change(t.Context(), w, func(m *Manifest) error { return m.Bind(b, "") }); err != nil {
			t.Fatal(err)
		}
	}
	m, err := live.Read(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := m.Bindings(); err != nil || len(all) != 1 || all[0].Broken != "" {
		t.Errorf("Bindings = %+v, %v", all, err)
	}
	updates := 0
	for _, a := range client.Actions() {
		if a.Matches("update", "services") {
			updates++
		}
	}
	if updates != 1 {
		t.Errorf("%d updates for the same binding twice, want 1", updates)
	}
	object, err := client.Resource(kinds()[3].resource).Namespace("acme").Get(t.Context(), "classify", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, _ := unstructured.NestedMap(object.Object, "spec", "template", "spec")
	containers, _ := spec["containers"].([]any)
	if spec["timeoutSeconds"] != int64(30) || len(containers) != 1 || containers[0].(map[string]any)["unknown"] != "kept" {
		t.Errorf("what else was there: %v", spec)
	}
}

func TestChangeBeginsAgainAfterAConflict(t *testing.T) {
	live, client := cluster(ksvc())
	refused := false
	client.PrependReactor("update", "services", func(core.Action) (bool, runtime.Object, error) {
		if refused {
			return false, nil, nil
		}
		refused = true
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "classify", nil)
	})
	b := binding(t, "m:v1", "sha256:aa", "/m")
	if err := live.Change(t.Context(), Which{Kind: "ksvc", Name: "classify"}, func(m *Manifest) error { return m.Bind(b, "") }); err != nil || !refused {
		t.Errorf("Change = %v, refused once: %v", err, refused)
	}
}

func TestLiveErrorsHaveTheirSentinels(t *testing.T) {
	live, client := cluster(ksvc())
	client.PrependReactor("get", "deployments", func(core.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "f", nil)
	})
	tests := map[string]struct {
		which Which
		want  error
	}{
		"absent":    {Which{"ksvc", "other"}, volume.ErrNotFound},
		"forbidden": {Which{"deployment", "f"}, volume.ErrDenied},
		"a job":     {Which{"job", "f"}, volume.ErrInvalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := live.Read(t.Context(), test.which); !errors.Is(err, test.want) {
				t.Errorf("Read = %v, want %v", err, test.want)
			}
			if err := live.Change(t.Context(), test.which, nil); !errors.Is(err, test.want) {
				t.Errorf("Change = %v, want %v", err, test.want)
			}
		})
	}
}
