package verify

import (
	"maps"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// chartInvoker is what matters of the StatefulSet that OpenWhisk's chart makes.
const chartInvoker = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: owdev-invoker, namespace: openwhisk, labels: {name: owdev-invoker}}
spec:
  serviceName: owdev-invoker
  selector: {matchLabels: {name: owdev-invoker}}
  template:
    metadata: {labels: {name: owdev-invoker}}
    spec:
      serviceAccountName: owdev-invoker
      containers:
      - name: invoker
        image: openwhisk/invoker:2.0.0
        env: [{name: PORT, value: "8080"}]
`

// TestOpenWhiskInvokers: of the chart's invoker each component makes a group
// for one tenant alone. What becomes of the pod template is in tests/openwhisk.
func TestOpenWhiskInvokers(t *testing.T) {
	for tenant, tag := range map[string]string{"acme": "resnet50-v1", "globex": "dictionary-v1"} {
		t.Run(tenant, func(t *testing.T) {
			set, templates := invokerGroup(t, tenant)
			spec := set.Spec.Template.Spec
			selected := set.Spec.Selector.MatchLabels
			if set.Name != "owdev-invoker-"+tenant || selected["name"] != "invoker-"+tenant || spec.ServiceAccountName != "invoker-"+tenant {
				t.Errorf("StatefulSet %s selects %v and is account %s", set.Name, selected, spec.ServiceAccountName)
			}
			if !maps.Equal(selected, set.Spec.Template.Labels) {
				t.Errorf("it selects %v of pods with %v", selected, set.Spec.Template.Labels)
			}
			if templates.Name != spec.Volumes[0].ConfigMap.Name || templates.Namespace != set.Namespace {
				t.Errorf("the invokers mount %s, not %s", spec.Volumes[0].ConfigMap.Name, templates.Name)
			}
			checkInvoker(t, spec.Containers[0], tenant, tag, templates.Data)
		})
	}
}

// checkInvoker holds an invoker to its tenant: every setting that keeps actions
// of others away is there.
func checkInvoker(t *testing.T, c core.Container, tenant, tag string, templates map[string]string) {
	t.Helper()
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	file := strings.TrimPrefix(env["CONFIG_whisk_kubernetes_podTemplate"], "file://"+c.VolumeMounts[0].MountPath+"/")
	for name, value := range map[string]string{
		"PORT": "8080", "CONFIG_whisk_kubernetes_actionNamespace": tenant,
		"CONFIG_whisk_invoker_dedicated_namespaces": tenant, "CONFIG_whisk_invoker_resource_tags": tag,
	} {
		if env[name] != value {
			t.Errorf("%s is %q, not %q", name, env[name], value)
		}
	}
	var pod core.Pod
	if err := yaml.UnmarshalStrict([]byte(templates[file]), &pod); err != nil {
		t.Fatalf("template %q: %v", file, err)
	}
	checkGolden(t, pod.Spec, "user-action")
	if pod.Namespace != "" {
		t.Errorf("the template names namespace %s, which is the invoker's to say", pod.Namespace)
	}
}

// invokerGroup renders a tenant's component over the chart's invoker.
func invokerGroup(t *testing.T, tenant string) (set apps.StatefulSet, templates core.ConfigMap) {
	t.Helper()
	dir := scratch(t, manifests)
	write(t, dir, "invoker.yaml", chartInvoker)
	write(t, dir, "kustomization.yaml", "resources: [invoker.yaml]\ncomponents: [../examples/openwhisk/invoker-"+tenant+"]\n")
	objects := render(t, dir)
	if len(objects) != 2 {
		t.Fatalf("there are %d objects", len(objects))
	}
	for _, o := range objects {
		if o.GetKind() == "StatefulSet" {
			strictly(t, o, &set)
			continue
		}
		strictly(t, o, &templates)
	}
	return set, templates
}
