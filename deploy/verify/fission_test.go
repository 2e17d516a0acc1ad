package verify

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	fission "github.com/fission/fission/pkg/apis/core/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"
)

// TestFissionFunction has Fission's own code and schema read the function.
func TestFissionFunction(t *testing.T) {
	o := example(t, "fission/function.yaml")[0]
	checkFissionSchema(t, o, "functions")
	var f fission.Function
	strictly(t, o, &f)
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
	// Fission merges the container of the function's name, and reads the grace
	// period without asking whether it is there.
	if checkGolden(t, *f.Spec.PodSpec, f.Name); f.Spec.PodSpec.TerminationGracePeriodSeconds == nil {
		t.Error("there is no terminationGracePeriodSeconds")
	}
	f.Spec.PodSpec = nil
	checkRefusal(t, f.Validate(), "executor type container requires a pod spec")
}

// TestFissionEnvironment does so with the environment.
func TestFissionEnvironment(t *testing.T) {
	o := example(t, "fission/environment.yaml")[0]
	checkFissionSchema(t, o, "environments")
	var e fission.Environment
	strictly(t, o, &e)
	if err := e.Validate(); err != nil {
		t.Error(err)
	}
	checkGolden(t, *e.Spec.Runtime.PodSpec, e.Name)
	e.Spec.Runtime.PodSpec.Containers[0].Name = "other"
	checkRefusal(t, e.Validate(), "must have name same as environment name")
}

// checkFissionSchema validates an object as the API server does, by the schema
// of Fission's CustomResourceDefinition.
func checkFissionSchema(t *testing.T, o Object, resource string) {
	t.Helper()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/fission/fission").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(strings.TrimSpace(string(module)) + "/crds/v1/fission.io_" + resource + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var definition extensions.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(definition.Spec.Versions[0].Schema.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	result := validate.NewSchemaValidator(&schema, nil, "", strfmt.Default).Validate(o.Object)
	for _, problem := range result.Errors {
		t.Errorf("%s: %v", o.Key(), problem)
	}
}
