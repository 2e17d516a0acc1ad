package function

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// kind is a kind of object with a pod template.
type kind struct {
	name     string   // in manifests
	called   []string // on the command line
	resource schema.GroupVersionResource
	template []string // the fields that lead to the template
}

// kinds are those that this package knows.
func kinds() []kind {
	apps := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: resource}
	}
	in := []string{"spec", "template"}
	return []kind{
		{"Deployment", []string{"deployment", "deploy"}, apps("deployments"), in},
		{"StatefulSet", []string{"statefulset", "sts"}, apps("statefulsets"), in},
		{"DaemonSet", []string{"daemonset", "ds"}, apps("daemonsets"), in},
		{"Service", []string{"ksvc"}, schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}, in},
		{"PodTemplate", []string{"pod-template", "podtemplate"}, schema.GroupVersionResource{Version: "v1", Resource: "podtemplates"}, []string{"template"}},
		{"CronJob", []string{"cronjob", "cj"}, schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}, []string{"spec", "jobTemplate", "spec", "template"}},
		// Only in files: what a live one has of these never changes.
		{"Job", []string{"job"}, schema.GroupVersionResource{}, in},
		{"Pod", []string{"pod", "pod-template"}, schema.GroupVersionResource{}, nil},
	}
}

// Kinds are the kinds' names on the command line.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		if !slices.Contains(names, k.called[0]) {
			names = append(names, k.called[0])
		}
	}
	return names
}

func (k kind) isCalled(name string) bool { return slices.Contains(k.called, strings.ToLower(name)) }

// kindOf finds the kind of a manifest. A Service of Kubernetes itself has no
// pod template, one of Knative has.
func kindOf(name, apiVersion string) (kind, bool) {
	for _, k := range kinds() {
		if k.name == name && (name != "Service" || strings.HasPrefix(apiVersion, k.resource.Group+"/")) {
			return k, true
		}
	}
	return kind{}, false
}

// liveKind finds the kind that the command line names, of which objects in a
// cluster can be changed.
func liveKind(name string) (kind, error) {
	for _, k := range kinds() {
		if k.isCalled(name) && !k.resource.Empty() {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("objects of kind %.32q cannot be changed in a cluster: use one of %s, or a file with -f: %w",
		name, strings.Join(Kinds()[:6], ", "), volume.ErrInvalid)
}
