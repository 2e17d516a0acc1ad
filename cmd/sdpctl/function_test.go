package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/function"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const functionText = `apiVersion: apps/v1
kind: Deployment
metadata: {name: classify, namespace: globex} # ours
spec:
  template:
    spec:
      containers:
      - name: f
`

// shop is a cluster with one function.
type shop struct {
	text   string
	claims []string
}

func (s *shop) Namespace() string { return "globex" }

func (s *shop) Read(_ context.Context, w function.Which) (*function.Manifest, error) {
	return function.ParseFile([]byte(s.text)).Find(w)
}

func (s *shop) Change(_ context.Context, w function.Which, change func(*function.Manifest) error) error {
	f := function.ParseFile([]byte(s.text))
	err := f.Change(w, change)
	s.text = f.String()
	return err
}

func (s *shop) Claim(_ context.Context, c function.Claim) error {
	s.claims = append(s.claims, fmt.Sprintf("%s of %s, %d", c.Name, c.Class, c.Bytes))
	return nil
}

// newCounter is a desk whose policy lets globex have inline volumes.
func newCounter(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	text := strings.Replace(policy, "namespaces: [globex]", "namespaces: [globex], inline: true", 1)
	if err := os.WriteFile(d.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) manifest(text string) string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "function.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func TestFunctionBindAndShowAFile(t *testing.T) {
	d := newCounter(t)
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	path := d.manifest(functionText)
	bind := []string{"function", "bind", "--golden", "acme/resnet50:v1", "--path", "/data/model", "-f", path}
	out := d.must(bind...)
	for _, part := range []string{"# ours", "golden: acme/resnet50:v1", "mountPath: /data/model", "sha256:", "name: sdp-ro"} {
		if !strings.Contains(out, part) {
			t.Errorf("bind does not write %q:\n%s", part, out)
		}
	}
	d.must(append(bind, "--in-place")...)
	if again := d.must(bind...); again != out {
		t.Errorf("binding again changed\n%s\nto\n%s", out, again)
	}
	var bound []boundAnswer
	if err := json.Unmarshal([]byte(d.must("function", "show", "-f", path, "-o", "json")), &bound); err != nil {
		t.Fatal(err)
	}
	if len(bound) != 1 || bound[0].State != stateMatches || bound[0].Golden != "acme/resnet50:v1" || bound[0].Path != "/data/model" {
		t.Errorf("show: %+v", bound)
	}
	d.must("golden", "retire", "--tenant", "acme", "resnet50:v1")
	if out, stderr, code := d.run("function", "show", "-f", path); code != exitConflict || !strings.Contains(out, "the golden is retired") || !strings.Contains(stderr, "bind them again") {
		t.Errorf("show of a retired golden: %d, %s, %s", code, out, stderr)
	}
	d.must("function", "show", "-f", path, "--offline")
}

// An inline volume names the backend of a golden that is no image, and show
// tells where it does not.
func TestFunctionBindAGoldenInFiles(t *testing.T) {
	d := newCounter(t)
	d.must("golden", "import", "--tenant", "acme", "corpus:v1", d.model, "--backend", "cephfs")
	path := d.manifest(functionText)
	bind := []string{"function", "bind", "--golden", "acme/corpus:v1", "--path", "/data", "-f", path}
	out := d.must(bind...)
	if !strings.Contains(out, "backend: cephfs") {
		t.Errorf("bind writes no backend:\n%s", out)
	}
	if known := d.must(append(bind, "--digest", "sha256:00", "--backend", "cephfs")...); !strings.Contains(known, "backend: cephfs") {
		t.Errorf("bind with a digest writes no backend:\n%s", known)
	}
	d.must("function", "show", "-f", d.manifest(out))
	astray := d.manifest(strings.Replace(out, "backend: cephfs", "backend: rbd", 1))
	if out, _, code := d.run("function", "show", "-f", astray); code != exitConflict || !strings.Contains(out, "the golden is in backend cephfs") {
		t.Errorf("show of another backend: %d, %s", code, out)
	}
}

func TestFunctionBindWithAClaim(t *testing.T) {
	d := newCounter(t)
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	out := d.must("function", "bind", "--golden", "acme/resnet50:v1", "--path", "/m", "--pvc", "model", "--class", "sdp-resnet50", "-f", d.manifest(functionText))
	for _, part := range []string{"kind: PersistentVolumeClaim", "storageClassName: sdp-resnet50", "claimName: model", "readOnly: true", "- ReadOnlyMany"} {
		if !strings.Contains(out, part) {
			t.Errorf("bind does not write %q:\n%s", part, out)
		}
	}
}

func TestFunctionBindLive(t *testing.T) {
	d := newCounter(t)
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	s := &shop{text: functionText}
	d.functions = func(kubernetes.Where, string) (functions, error) { return s, nil }
	d.must("function", "bind", "--golden", "acme/resnet50:v1", "--path", "/m", "--pvc", "model", "--class", "c", "deployment", "classify")
	if len(s.claims) != 1 || !strings.HasPrefix(s.claims[0], "model of c, ") {
		t.Errorf("claims: %q", s.claims)
	}
	if out := d.must("function", "show", "deployment", "classify"); !strings.Contains(out, stateMatches) {
		t.Errorf("show: %s", out)
	}
}

func TestFunctionBindFragment(t *testing.T) {
	d := newCounter(t)
	out := d.must("function", "bind", "--golden", "acme/resnet50:v1", "--digest", "sha256:aa", "--path", "/m", "--print-fragment")
	for _, part := range []string{"annotations:", "volumes:", "volumeMounts:", "sha256:aa"} {
		if !strings.Contains(out, part) {
			t.Errorf("the fragment has no %q:\n%s", part, out)
		}
	}
}

// The Secret has the keys of the golden's cluster.
func TestFunctionBindInASecondCluster(t *testing.T) {
	d := newCounter(t)
	text := strings.Replace(policy, "fileSystem: cephfs}", "fileSystem: cephfs}, {id: cold, monitors: [\"127.0.0.2:3300\"], pool: rbd}", 1)
	text = strings.Replace(text, "namespaces: [globex]", "namespaces: [globex], inline: true", 1)
	if err := os.WriteFile(d.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path := d.manifest(functionText)
	for name, tc := range map[string]struct {
		cluster string
		more    []string
		secret  string
	}{
		"the first":          {"test", nil, "sdp-ro"},
		"the second":         {"cold", nil, "sdp-ro.cold"},
		"said":               {"cold", []string{"--secret", "ours"}, "ours"},
		"said with a digest": {"cold", []string{"--secret", "ours", "--digest", "sha256:00"}, "ours"},
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			d.must("golden", "import", "--tenant", "acme", "--cluster", tc.cluster, "resnet50:v1", d.model)
			out := d.must(append([]string{"function", "bind", "--golden", "acme/resnet50:v1", "--path", "/m", "-f", path, "--cluster", tc.cluster}, tc.more...)...)
			if !strings.Contains(out, "name: "+tc.secret+"\n") || !strings.Contains(out, "cluster: "+tc.cluster) {
				t.Errorf("not read with %s:\n%s", tc.secret, out)
			}
		})
	}
}

func TestFunctionBindRefuses(t *testing.T) {
	d := newCounter(t)
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	stranger := d.manifest(strings.Replace(functionText, "namespace: globex", "namespace: stranger", 1))
	homeless := d.manifest(strings.Replace(functionText, ", namespace: globex", "", 1))
	path := d.manifest(functionText)
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"no golden":                      {[]string{"--path", "/m", "-f", path}, exitUsage, "--golden and --path"},
		"no function":                    {[]string{"--golden", "acme/resnet50:v1", "--path", "/m"}, exitUsage, "KIND NAME"},
		"an unknown golden":              {[]string{"--golden", "acme/resnet50:v9", "--path", "/m", "-f", path}, exitNotFound, "sdpctl golden import"},
		"one that is not ours":           {[]string{"--golden", "initech/resnet50:v1", "--path", "/m", "-f", path}, exitDenied, "grant it in the policy file"},
		"a foreign namespace":            {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "-f", stranger}, exitDenied, "belongs to no tenant"},
		"no namespace":                   {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "-f", homeless}, exitUsage, "--tenant"},
		"a class without claim":          {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "--class", "c", "-f", path}, exitUsage, "--pvc"},
		"in place of nothing":            {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "--in-place", "-f", "-"}, exitUsage, "-f FILE"},
		"inline where it is not allowed": {[]string{"--golden", "resnet50:v1", "--path", "/m", "--tenant", "acme", "-f", path}, exitDenied, "use --pvc"},
		"a Secret that is not known":     {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "--digest", "sha256:00", "--cluster", "test", "-f", path}, exitUsage, "--secret sdp-ro or sdp-ro.test"},
		"an absent file":                 {[]string{"--golden", "acme/resnet50:v1", "--path", "/m", "-f", path + ".no"}, exitNotFound, "read the manifest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, stderr, code := d.run(append([]string{"function", "bind"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("code %d, %s; want %d with %q", code, stderr, test.code, test.says)
			}
		})
	}
}

func TestFunctionShowTellsOfAClusterThatIsAway(t *testing.T) {
	d := newCounter(t)
	d.functions = func(kubernetes.Where, string) (functions, error) { return nil, volume.ErrUnavailable }
	if _, _, code := d.run("function", "show", "deployment", "classify"); code != exitUnavailable {
		t.Errorf("code %d", code)
	}
}
