package openwhisk

import (
	"errors"
	"os"
	"slices"
	"testing"

	core "k8s.io/api/core/v1"
)

func action() Action {
	return Action{Pod: "wskowdev-invoker-1", Image: "registry.example/action:v1", Megabytes: 256, Env: map[string]string{"__OW_API_HOST": "https://owdev"}}
}

func merged(t *testing.T, template string) *core.Pod {
	t.Helper()
	pod, err := Merge([]byte(template), action())
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// TestExamples: the action's container of each tenant has that tenant's golden,
// and nothing else.
func TestExamples(t *testing.T) {
	for tenant, path := range map[string]string{"acme": "/data/model", "globex": "/data/dictionary"} {
		t.Run(tenant, func(t *testing.T) {
			template, err := os.ReadFile("../../deploy/kubernetes/examples/openwhisk/invoker-" + tenant + "/pod-template.yaml")
			if err != nil {
				t.Fatal(err)
			}
			pod := merged(t, string(template))
			checkAction(t, pod)
			c := pod.Spec.Containers[0]
			if len(pod.Spec.Volumes) != 1 || len(c.VolumeMounts) != 1 || !c.VolumeMounts[0].ReadOnly || c.VolumeMounts[0].MountPath != path {
				t.Errorf("volumes %+v are mounted by %+v", pod.Spec.Volumes, c.VolumeMounts)
			}
			if pod.Labels["sdp.dev/tenant"] != tenant || pod.Namespace != "" {
				t.Errorf("its labels are %v, its namespace is %q", pod.Labels, pod.Namespace)
			}
		})
	}
}

// checkAction holds a pod to what OpenWhisk sets.
func checkAction(t *testing.T, pod *core.Pod) {
	t.Helper()
	a, c := action(), pod.Spec.Containers[len(pod.Spec.Containers)-1]
	if pod.Name != a.Pod || pod.Labels["name"] != a.Pod || pod.Labels["user-action-pod"] != "true" || pod.Spec.RestartPolicy != core.RestartPolicyAlways {
		t.Errorf("the pod is %s with %v, restarted %s", pod.Name, pod.Labels, pod.Spec.RestartPolicy)
	}
	if c.Name != container || c.Image != a.Image || len(c.Env) != 1 || c.Env[0].Name != "__OW_API_HOST" {
		t.Errorf("container %s runs %s with %v", c.Name, c.Image, c.Env)
	}
	if memory := c.Resources.Limits.Memory(); memory.String() != "256Mi" || !memory.Equal(*c.Resources.Requests.Memory()) || len(c.Resources.Limits) != 1 {
		t.Errorf("its resources are %+v", c.Resources)
	}
}

// TestMerge: what is OpenWhisk's is overwritten, what is not stays.
func TestMerge(t *testing.T) {
	pod := merged(t, `kind: Pod
metadata: {name: mine, labels: {name: mine, tier: gold}, annotations: {kept: "yes"}}
spec:
  restartPolicy: Never
  nodeSelector: {disk: fast}
  containers:
  - {name: sidecar, image: registry.example/sidecar:v1}
  - name: user-action
    image: registry.example/mine:v1
    env: [{name: MINE, value: "1"}]
    ports: [{name: metrics, containerPort: 9000}]
    resources: {limits: {cpu: "1"}}
    securityContext: {runAsNonRoot: true, capabilities: {drop: [SYS_CHROOT]}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
`)
	checkAction(t, pod)
	c := pod.Spec.Containers[1]
	if pod.Spec.Containers[0].Image != "registry.example/sidecar:v1" || pod.Spec.NodeSelector["disk"] != "fast" ||
		pod.Labels["tier"] != "gold" || pod.Annotations["kept"] != "yes" || len(pod.Spec.Volumes) != 1 || len(c.VolumeMounts) != 1 {
		t.Errorf("the template's own is lost: %+v", pod)
	}
	if !slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"SYS_CHROOT", "NET_RAW", "NET_ADMIN"}) || !*c.SecurityContext.RunAsNonRoot {
		t.Errorf("its security context is %+v", c.SecurityContext)
	}
	if len(c.Ports) != 2 || c.Ports[1].ContainerPort != 8080 || c.Ports[1].Name != "action" {
		t.Errorf("its ports are %v", c.Ports)
	}
}

// TestContainerOfAnotherName: OpenWhisk then makes one without the data.
func TestContainerOfAnotherName(t *testing.T) {
	pod := merged(t, `{kind: Pod, spec: {containers: [{name: action, volumeMounts: [{name: data, mountPath: /data}]}], volumes: [{name: data, emptyDir: {}}]}}`)
	checkAction(t, pod)
	if len(pod.Spec.Containers) != 2 || len(pod.Spec.Containers[1].VolumeMounts) != 0 {
		t.Errorf("its containers are %+v", pod.Spec.Containers)
	}
}

func TestNotATemplate(t *testing.T) {
	for _, template := range []string{"", "kind: Deployment", "kind: Pod\nspek: {}\n", "[]"} {
		if _, err := Merge([]byte(template), action()); !errors.Is(err, errTemplate) {
			t.Errorf("Merge(%q) = %v", template, err)
		}
	}
}
