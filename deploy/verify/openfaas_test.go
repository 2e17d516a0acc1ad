package verify

import (
	"testing"

	faas "github.com/openfaas/faas-provider/types"
	"sigs.k8s.io/yaml"
)

// TestOpenFaaS: what faas-cli makes of the file is strictly a request to
// OpenFaaS, whose only place for a golden is the annotations that the policy
// reads. The policy itself is checked with the other kustomizations.
func TestOpenFaaS(t *testing.T) {
	var stack struct {
		Version   any                                `json:"version"`
		Provider  any                                `json:"provider"`
		Functions map[string]faas.FunctionDeployment `json:"functions"`
	}
	if err := yaml.UnmarshalStrict(exampleText(t, "openfaas/functions.yaml"), &stack); err != nil {
		t.Fatal(err)
	}
	claims := map[string]string{"classify": "resnet50", "classify-inline": ""}
	if len(stack.Functions) != len(claims) {
		t.Errorf("there are %d functions", len(stack.Functions))
	}
	for name, claim := range claims {
		a := *stack.Functions[name].Annotations
		if a["golden.data.sdp.dev/golden"] == "" || a["golden.data.sdp.dev/path"] == "" || a["golden.data.sdp.dev/claim"] != claim {
			t.Errorf("function %s has annotations %v", name, a)
		}
	}
}
