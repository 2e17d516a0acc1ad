package verify

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	serving "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"
)

const (
	flagClaim = "kubernetes.podspec-persistent-volume-claim"
	flagCSI   = "kubernetes.podspec-volumes-csi"
)

// knativeFlags are those that the example sets.
func knativeFlags(t *testing.T) map[string]string {
	t.Helper()
	var patch core.ConfigMap
	strictly(t, example(t, "knative/config-features.yaml")[0], &patch)
	if patch.Namespace != "knative-serving" || patch.Name != config.FeaturesConfigName || len(patch.Data) != 2 {
		t.Fatalf("the flags are of %s/%s: %v", patch.Namespace, patch.Name, patch.Data)
	}
	return patch.Data
}

// knativeRefuses is what Knative Serving's admission says of a Service, after
// its own defaults, where the flags are set. Nil: it is taken.
func knativeRefuses(t *testing.T, s *serving.Service, flags map[string]string) error {
	t.Helper()
	features, err := config.NewFeaturesConfigFromMap(flags)
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := config.NewDefaultsConfigFromMap(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := config.ToContext(context.Background(), &config.Config{Defaults: defaults, Features: features})
	s.SetDefaults(ctx)
	// The rest of what it says are warnings.
	if refused := s.Validate(ctx).Filter(apis.ErrorLevel); refused != nil {
		return refused
	}
	return nil
}

func knativeService(t *testing.T, file string) *serving.Service {
	t.Helper()
	var s serving.Service
	strictly(t, example(t, file)[0], &s)
	return &s
}

// TestKnative has Knative Serving's own admission read the examples.
func TestKnative(t *testing.T) {
	flags := knativeFlags(t)
	tests := map[string]struct {
		file    string
		without string // a flag
		change  func(*core.PodSpec)
		says    string // in the refusal; empty: it is taken
	}{
		"by claim":                       {file: "by-claim"},
		"inline":                         {file: "inline"},
		"by claim without the flag":      {file: "by-claim", without: flagClaim, says: "Persistent volume claim support is disabled"},
		"inline without the flag":        {file: "inline", without: flagCSI, says: "CSI volume support is disabled"},
		"claim without readOnly":         {file: "by-claim", change: func(p *core.PodSpec) { p.Volumes[0].PersistentVolumeClaim.ReadOnly = false }, says: "not read-only"},
		"claim with a mount for writing": {file: "by-claim", change: func(p *core.PodSpec) { p.Containers[0].VolumeMounts[0].ReadOnly = false }, says: "volume is readOnly but volume mount is not"},
		"block device": {file: "by-claim", change: func(p *core.PodSpec) {
			p.Containers[0].VolumeDevices = []core.VolumeDevice{{Name: p.Volumes[0].Name, DevicePath: "/dev/model"}}
		}, says: "volumeDevices"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, set := knativeService(t, "knative/"+test.file+".yaml"), maps.Clone(flags)
			delete(set, test.without)
			checkGolden(t, s.Spec.Template.Spec.PodSpec, "classify")
			if test.change != nil {
				test.change(&s.Spec.Template.Spec.PodSpec)
			}
			checkRefusal(t, knativeRefuses(t, s, set), test.says)
		})
	}
}

func checkRefusal(t *testing.T, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("it is refused: %v", err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
		t.Errorf("the answer is %v, without %q", err, says)
	}
}

// unbound is a Knative Service before sdpctl knows of it.
const unbound = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: classify, namespace: acme}
spec:
  template:
    spec:
      containers:
      - image: registry.example/classify:v1
`

// TestKnativeBind: Knative Serving takes what `sdpctl function bind` writes. The
// program is named by SDPCTL.
func TestKnativeBind(t *testing.T) {
	program := os.Getenv("SDPCTL")
	if program == "" {
		t.Fatal("SDPCTL does not name the program sdpctl: run make verify-manifests")
	}
	file := filepath.Join(t.TempDir(), "service.yaml")
	write(t, filepath.Dir(file), filepath.Base(file), unbound)
	ways := map[string][]string{"inline": nil, "by claim": {"--pvc", "resnet50"}}
	for name, extra := range ways {
		t.Run(name, func(t *testing.T) {
			args := []string{"function", "bind", "--golden", "public/resnet50:v1", "--digest", "sha256:00", "--path", "/data/model", "-f", file}
			out, err := exec.Command(program, slices.Concat(args, extra)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var s serving.Service
			if err := yaml.UnmarshalStrict(out, &s); err != nil {
				t.Fatal(err)
			}
			checkMount(t, s.Spec.Template.Spec.Volumes[0], s.Spec.Template.Spec.Containers[0].VolumeMounts[0])
			checkRefusal(t, knativeRefuses(t, &s, knativeFlags(t)), "")
		})
	}
}
