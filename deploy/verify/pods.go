package verify

import (
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Pods returns the pod template of what makes pods.
func Pods(o runtime.Object) (core.PodTemplateSpec, bool) {
	switch w := o.(type) {
	case *apps.Deployment:
		return w.Spec.Template, true
	case *apps.DaemonSet:
		return w.Spec.Template, true
	}
	return core.PodTemplateSpec{}, false
}
