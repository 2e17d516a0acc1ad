package openwhisk

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// container is the name that OpenWhisk knows the action's container by.
const container = "user-action"

// errTemplate is returned when a template is not a pod that OpenWhisk could use.
var errTemplate = errors.New("not a pod template")

// Action is what OpenWhisk knows of an action itself.
type Action struct {
	Pod, Image string
	Megabytes  int64
	Env        map[string]string
	Labels     map[string]string
}

// Merge returns the pod of an action. OpenWhisk sets the pod's name and restart
// policy, and the container's name, image, environment, resources and port,
// whatever the template says; labels and dropped capabilities are added;
// everything else is the template's. The node affinity that an invoker may add
// is left out.
func Merge(template []byte, a Action) (*core.Pod, error) {
	var pod core.Pod
	if err := yaml.UnmarshalStrict(template, &pod); err != nil {
		return nil, fmt.Errorf("%w: %w", errTemplate, err)
	}
	if pod.Kind != "Pod" {
		return nil, fmt.Errorf("%w: it is a %q", errTemplate, pod.Kind)
	}
	pod.Name = a.Pod
	addLabels(&pod, map[string]string{"name": a.Pod, "user-action-pod": "true"})
	addLabels(&pod, a.Labels)
	pod.Spec.RestartPolicy = core.RestartPolicyAlways
	i := slices.IndexFunc(pod.Spec.Containers, func(c core.Container) bool { return c.Name == container })
	if i < 0 {
		i = len(pod.Spec.Containers)
		pod.Spec.Containers = append(pod.Spec.Containers, core.Container{Name: container})
	}
	a.fill(&pod.Spec.Containers[i])
	return &pod, nil
}

func addLabels(pod *core.Pod, labels map[string]string) {
	for name, value := range labels {
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		pod.Labels[name] = value
	}
}

// fill sets what is OpenWhisk's in the action's container.
func (a Action) fill(c *core.Container) {
	memory := core.ResourceList{core.ResourceMemory: *resource.NewQuantity(a.Megabytes<<20, resource.BinarySI)}
	c.Image = a.Image
	c.Env = nil
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		c.Env = append(c.Env, core.EnvVar{Name: name, Value: a.Env[name]})
	}
	c.Resources = core.ResourceRequirements{Limits: memory, Requests: memory}
	c.Ports = append(c.Ports, core.ContainerPort{Name: "action", ContainerPort: 8080})
	if c.SecurityContext == nil {
		c.SecurityContext = &core.SecurityContext{}
	}
	if c.SecurityContext.Capabilities == nil {
		c.SecurityContext.Capabilities = &core.Capabilities{}
	}
	c.SecurityContext.Capabilities.Drop = append(c.SecurityContext.Capabilities.Drop, "NET_RAW", "NET_ADMIN")
}
