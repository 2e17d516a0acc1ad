package verify

import (
	"encoding/json"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestNuclioVolumes reads the volumes of the examples as Kubernetes' own types.
// Nuclio's types are in no module that can be had here, so that the other
// fields are Nuclio's is not checked.
func TestNuclioVolumes(t *testing.T) {
	for _, file := range []string{"nuclio/by-claim.yaml", "nuclio/inline.yaml"} {
		t.Run(file, func(t *testing.T) {
			spec, _ := example(t, file)[0].Object["spec"].(map[string]any)
			text, err := json.Marshal(spec["volumes"])
			if err != nil {
				t.Fatal(err)
			}
			var volumes []struct {
				Volume      core.Volume      `json:"volume"`
				VolumeMount core.VolumeMount `json:"volumeMount"`
			}
			if err := yaml.UnmarshalStrict(text, &volumes); err != nil || len(volumes) != 1 {
				t.Fatalf("%d volumes: %v", len(volumes), err)
			}
			checkMount(t, volumes[0].Volume, volumes[0].VolumeMount)
		})
	}
}
