package function

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const deployment = `# The classifier.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: classify # of images
spec:
  replicas: 2
  template:
    metadata:
      labels: {app: classify}
    spec:
      containers:
        - name: function
          image: registry.example/classify:7 # no model in it
          env:
            - {name: MODEL, value: /data/model/model.h5}
`

const bound = `# The classifier.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: classify # of images
spec:
  replicas: 2
  template:
    metadata:
      labels: {app: classify}
      annotations:
        golden-resnet50-v1.data.sdp.dev/golden: 'public/resnet50:v1'
        golden-resnet50-v1.data.sdp.dev/digest: 'sha256:aa'
        golden-resnet50-v1.data.sdp.dev/path: '/data/model'
    spec:
      containers:
        - name: function
          image: registry.example/classify:7 # no model in it
          env:
            - {name: MODEL, value: /data/model/model.h5}
          volumeMounts:
            - name: golden-resnet50-v1
              mountPath: /data/model
              readOnly: true
      volumes:
        - name: golden-resnet50-v1
          csi:
            driver: csi.sdp.dev
            readOnly: true
            volumeAttributes:
              golden: public/resnet50:v1
            nodePublishSecretRef:
              name: sdp-ro
`

func ref(t *testing.T, s string) volume.GoldenRef {
	t.Helper()
	r, err := volume.ParseGoldenRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func binding(t *testing.T, golden, digest, path string) Binding {
	return Binding{Golden: ref(t, golden), Digest: digest, Path: path}
}

func bind(t *testing.T, text string, w Which, b Binding) (string, error) {
	t.Helper()
	f := ParseFile([]byte(text))
	err := f.Change(w, func(m *Manifest) error { return m.Bind(b, "") })
	return f.String(), err
}

func mustBind(t *testing.T, text string, b Binding) string {
	t.Helper()
	out, err := bind(t, text, Which{}, b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBindWritesWhatIsNeededAndKeepsTheRest(t *testing.T) {
	want(t, mustBind(t, deployment, binding(t, "public/resnet50:v1", "sha256:aa", "/data/model")), bound)
}

func TestBindIsIdempotent(t *testing.T) {
	want(t, mustBind(t, bound, binding(t, "public/resnet50:v1", "sha256:aa", "/data/model")), bound)
}

func TestBindReplacesWhatWasAtThePath(t *testing.T) {
	next := mustBind(t, bound, binding(t, "public/resnet50:v2", "sha256:bb", "/data/model"))
	replaced := strings.NewReplacer("resnet50-v1", "resnet50-v2", "resnet50:v1", "resnet50:v2", "sha256:aa", "sha256:bb").Replace(bound)
	want(t, next, replaced)
}

func TestBindMovesAVolumeToAnotherPath(t *testing.T) {
	moved := mustBind(t, bound, binding(t, "public/resnet50:v1", "sha256:aa", "/models/a"))
	want(t, moved, strings.NewReplacer("'/data/model'", "'/models/a'", "mountPath: /data/model", "mountPath: /models/a").Replace(bound))
}

func TestBindLeavesOtherDocumentsAlone(t *testing.T) {
	const other = "kind:   Service   # crooked, and of Kubernetes itself\napiVersion: v1\nmetadata: {name: classify}\n"
	want(t, mustBind(t, other+"---\n"+deployment+"---\n# nothing\n", binding(t, "public/resnet50:v1", "sha256:aa", "/data/model")),
		other+"---\n"+bound+"---\n# nothing\n")
}

func TestBindKnowsTheKinds(t *testing.T) {
	pod := "metadata: {name: a}\nspec:\n  containers:\n  - name: user-action\n"
	template := func(in string) string { return in + strings.ReplaceAll("\n"+pod, "\n", "\n    ") + "\n" }
	tests := map[string]string{
		"a pod, for OpenWhisk": "apiVersion: v1\nkind: Pod\n" + pod,
		"a Knative service":    template("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: f}\nspec:\n  template:"),
		"a cron job":           template("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: f}\nspec:\n jobTemplate:\n  spec:\n   template:"),
		"a pod template":       template("apiVersion: v1\nkind: PodTemplate\nmetadata: {name: f}\ntemplate:"),
		"JSON":                 `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "f"}]}}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			out := mustBind(t, text, binding(t, "m:v1", "sha256:aa", "/m"))
			_, m, err := ParseFile([]byte(out)).find(Which{})
			if err != nil {
				t.Fatal(err)
			}
			all, err := m.Bindings()
			if err != nil || len(all) != 1 || all[0].Golden.String() != "m:v1" || all[0].Path != "/m" || all[0].Broken != "" {
				t.Errorf("Bindings = %+v, %v of\n%s", all, err, out)
			}
		})
	}
}

func TestBindWithAClaimIsReadOnly(t *testing.T) {
	b := binding(t, "m:v1", "sha256:aa", "/m")
	b.Claim = "models"
	if out := mustBind(t, deployment, b); !strings.Contains(out, "persistentVolumeClaim:\n            claimName: models\n            readOnly: true\n") {
		t.Errorf("no claim that is read-only in\n%s", out)
	}
}

func TestBindRefuses(t *testing.T) {
	two := strings.Replace(deployment, "      containers:\n", "      containers:\n        - name: sidecar\n", 1)
	taken := strings.Replace(deployment, "          env:\n", "          volumeMounts:\n            - {name: mine, mountPath: /data/model}\n          env:\n", 1)
	tests := map[string]struct {
		text string
		path string
		want error
		says string
	}{
		"two containers":       {two, "/m", volume.ErrInvalid, "--container"},
		"a path that is taken": {taken, "/data/model", volume.ErrConflict, "choose another --path"},
		"a relative path":      {deployment, "m", volume.ErrInvalid, "/data/model"},
		"the root":             {deployment, "/", volume.ErrInvalid, "/data/model"},
		"two functions":        {deployment + "---\n" + deployment, "/m", volume.ErrInvalid, "KIND NAME"},
		"no function":          {"kind: ConfigMap\napiVersion: v1\n", "/m", volume.ErrInvalid, "deployment, "},
		"no YAML":              {"a: [b", "/m", volume.ErrInvalid, "no YAML"},
		"an empty file":        {"", "/m", volume.ErrInvalid, "no such object"},
		"a list for a map":     {"kind: Pod\napiVersion: v1\nspec: []\n", "/m", volume.ErrInvalid, "not a valid manifest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := bind(t, test.text, Which{}, binding(t, "m:v1", "sha256:aa", test.path))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Bind = %v, want %v with %q", err, test.want, test.says)
			}
			want(t, out, test.text)
		})
	}
}

func TestShowTellsWhatIsMissing(t *testing.T) {
	tests := map[string]struct{ old, new, broken string }{
		"nothing":         {"", "", ""},
		"the mount":       {"mountPath: /data/model\n", "mountPath: /elsewhere\n", "nothing is mounted at /data/model"},
		"the volume":      {"        - name: golden-resnet50-v1\n          csi", "        - name: else\n          csi", "the volume golden-resnet50-v1 is missing"},
		"the same golden": {"              golden: public/resnet50:v1\n", "              golden: public/resnet50:v9\n", "the volume shows golden public/resnet50:v9"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, m, err := ParseFile([]byte(strings.Replace(bound, test.old, test.new, 1))).find(Which{})
			if err != nil {
				t.Fatal(err)
			}
			all, err := m.Bindings()
			if err != nil || len(all) != 1 || all[0].Broken != test.broken {
				t.Errorf("Bindings = %+v, %v; want broken %q", all, err, test.broken)
			}
		})
	}
}

func FuzzBind(f *testing.F) {
	for _, seed := range []string{deployment, bound, "", "---\n---\n", "kind: Pod\nspec: {containers: [{}]}\n", "kind: Pod\nspec: {volumes: x, containers: [{name: a, volumeMounts: {}}]}\n", "&a [*a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := bind(t, text, Which{}, Binding{Golden: volume.GoldenRef{Name: "m", Version: "v1"}, Digest: "sha256:aa", Path: "/m"})
		if err != nil {
			return
		}
		want(t, mustBind(t, once, Binding{Golden: volume.GoldenRef{Name: "m", Version: "v1"}, Digest: "sha256:aa", Path: "/m"}), once)
	})
}
