package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

const policy = `
clusters: [{id: test, monitors: ["127.0.0.1:3300"], pool: rbd, fileSystem: cephfs}]
tenants:
- {name: acme, namespaces: [acme]}
- {name: globex, namespaces: [globex], goldens: [acme/*]}
`

// desk is where an operator sits: a policy file, a model, a Ceph.
type desk struct {
	t            *testing.T
	ceph         *fake.Ceph
	files        *fake.FileSystem
	policy       string
	model        string
	stdin        string
	functions    func(kubernetes.Where, string) (functions, error)
	abilities    func(context.Context) []ability
	installation installation
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	t.Setenv("SDP_CONFIG", "")
	dir := t.TempDir()
	d := &desk{t: t, ceph: fake.NewCeph(), policy: filepath.Join(dir, "policy.yaml"), model: filepath.Join(dir, "model.h5")}
	d.files = fake.NewFileSystem(d.ceph)
	for path, text := range map[string]string{d.policy: policy, d.model: "weights"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// run runs a command line and returns what it wrote and its exit code.
func (d *desk) run(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	var out, progress bytes.Buffer
	a := &app{stdin: strings.NewReader(d.stdin), stdout: &out, stderr: &progress}
	a.connect = func() (cluster, fileSystem, error) { return d.ceph, d.files, nil }
	a.functions, a.abilities, a.installation = d.functions, d.abilities, d.installation
	root := newRootCommand(a)
	root.SetArgs(append([]string{"--config", d.policy}, args...))
	err := root.ExecuteContext(context.Background())
	if err != nil {
		return out.String(), message(err), exitCode(err)
	}
	return out.String(), progress.String(), exitOK
}

func (d *desk) must(args ...string) string {
	d.t.Helper()
	out, stderr, code := d.run(args...)
	if code != exitOK {
		d.t.Fatalf("sdpctl %s: %d: %s", strings.Join(args, " "), code, stderr)
	}
	return out
}

func TestGoldenLife(t *testing.T) {
	d := newDesk(t)
	out := d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	for _, part := range []string{"acme/resnet50:v1", "ready", "erofs", "sha256:", "model.h5"} {
		if !strings.Contains(out, part) {
			t.Errorf("import does not say %q:\n%s", part, out)
		}
	}
	if strings.Contains(out, filepath.Dir(d.model)) {
		t.Errorf("import tells where the operator's files lie:\n%s", out)
	}
	var g goldenAnswer
	if err := json.Unmarshal([]byte(d.must("golden", "show", "acme/resnet50:v1", "-o", "json")), &g); err != nil {
		t.Fatal(err)
	}
	if g.State != volume.GoldenReady || g.Clones == nil || *g.Clones != 0 || g.Golden != "acme/resnet50:v1" {
		t.Errorf("show: %+v", g)
	}
	var list []goldenAnswer
	if err := yaml.Unmarshal([]byte(d.must("golden", "list", "-o", "yaml")), &list); err != nil || len(list) != 1 || list[0].Digest != g.Digest {
		t.Errorf("list: %+v, %v", list, err)
	}
	d.must("golden", "retire", "acme/resnet50:v1")
	if out := d.must("golden", "delete", "acme/resnet50:v1"); !strings.Contains(out, "is retired, and its data goes at") {
		t.Errorf("delete: %s", out)
	}
	d.must("golden", "delete", "acme/resnet50:v1", "--retire-grace=0s")
	if out := d.must("golden", "list"); strings.Contains(out, "resnet50") {
		t.Errorf("a deleted golden is listed:\n%s", out)
	}
	if out := d.must("golden", "list", "--all"); !strings.Contains(out, "deleted") {
		t.Errorf("--all does not list it:\n%s", out)
	}
}

func TestImportFromStdin(t *testing.T) {
	d := newDesk(t)
	d.stdin = "no tar at all"
	if _, stderr, code := d.run("golden", "import", "acme/resnet50:v1", "-", "--scratch", t.TempDir()); code != exitUsage {
		t.Errorf("%d: %s", code, stderr)
	}
}

func TestEmptyListIsAList(t *testing.T) {
	d := newDesk(t)
	for _, noun := range []string{"golden", "volume"} {
		if out := strings.TrimSpace(d.must(noun, "list", "-o", "json")); out != "[]" {
			t.Errorf("%s list: %s", noun, out)
		}
	}
}

func TestVolumeList(t *testing.T) {
	d := newDesk(t)
	d.must("golden", "import", "acme/resnet50:v1", d.model)
	own, other := d.volume("acme", "f", "resnet50:v1"), d.volume("globex", "g", "acme/resnet50:v1")
	d.volume("globex", "blank", "")
	cases := map[string]struct {
		args []string
		want []string
	}{
		"all":       {nil, []string{"f", "g", "blank"}},
		"tenant":    {[]string{"--tenant", "acme"}, []string{"f"}},
		"golden":    {[]string{"--golden", "acme/resnet50:v1"}, []string{"f", "g"}},
		"own":       {[]string{"--golden", "resnet50:v1", "--tenant", "acme"}, []string{"f"}},
		"cluster":   {[]string{"--cluster", "test", "--tenant", "globex"}, []string{"g", "blank"}},
		"of nobody": {[]string{"--golden", "globex/resnet50:v1"}, nil},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			var got []volumeAnswer
			if err := json.Unmarshal([]byte(d.must(append([]string{"volume", "list", "-o", "json"}, tt.args...)...)), &got); err != nil {
				t.Fatal(err)
			}
			names := map[string]bool{}
			for _, v := range got {
				names[v.Name] = true
			}
			for _, want := range tt.want {
				if !names[want] || len(got) != len(tt.want) {
					t.Errorf("got %v, want %v", names, tt.want)
				}
			}
		})
	}
	if out := d.must("volume", "list"); !strings.Contains(out, own.String()) || !strings.Contains(out, other.String()) {
		t.Errorf("the table has no IDs:\n%s", out)
	}
	_, stderr, code := d.run("golden", "delete", "acme/resnet50:v1")
	if code != exitInUse || !strings.Contains(stderr, "2 clones") {
		t.Errorf("delete with clones: %d: %s", code, stderr)
	}
}

// volume makes a read-only volume from a golden, or a blank one, in RBD.
func (d *desk) volume(name, csiName, from string) volume.ID {
	d.t.Helper()
	return d.volumeOf(volume.RBD, d.images(), name, csiName, from)
}

// images makes volumes in RBD.
func (d *desk) images() provisioner {
	return rbd.NewProvisioner(d.ceph, golden.NewLibrary(d.ceph, golden.Options{}))
}

// provisioner is a backend's.
type provisioner interface {
	Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error)
	Delete(ctx context.Context, at tenant.Place, id volume.ID) error
}

func (d *desk) volumeOf(b volume.Backend, p provisioner, name, csiName, from string) volume.ID {
	d.t.Helper()
	all, err := tenant.Parse([]byte(policy))
	if err != nil {
		d.t.Fatal(err)
	}
	at, err := all.Default(name, "")
	if err != nil {
		d.t.Fatal(err)
	}
	source, spec := at, volume.Spec{Name: csiName, Size: volume.Size{Required: 1 << 20}}
	if from != "" {
		spec.ReadOnly = true
		if spec.Source.Golden, err = volume.ParseGoldenRef(from); err != nil {
			d.t.Fatal(err)
		}
		if source, err = all.Golden(at, spec.Source.Golden); err != nil {
			d.t.Fatal(err)
		}
	}
	id := at.VolumeID(b, csiName)
	if _, err := p.Create(context.Background(), at, source, id, spec); err != nil {
		d.t.Fatal(err)
	}
	return id
}

func TestExitCodesOfCommandLines(t *testing.T) {
	d := newDesk(t)
	d.must("golden", "import", "acme/taken:v1", d.model)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	astray := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(astray, "etc")); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args []string
		code int
		says string
	}{
		"no such command":      {[]string{"foo"}, exitUsage, "--help"},
		"no such subcommand":   {[]string{"golden", "foo"}, exitUsage, "--help"},
		"no such flag":         {[]string{"golden", "list", "--foo"}, exitUsage, "--help"},
		"no argument":          {[]string{"golden", "show"}, exitUsage, "NAME:VERSION"},
		"too many arguments":   {[]string{"golden", "list", "x"}, exitUsage, "no arguments"},
		"output format":        {[]string{"version", "-o", "xml"}, exitUsage, "yaml"},
		"golden's name":        {[]string{"golden", "show", "--tenant", "acme", "UPPER:v1"}, exitUsage, "resnet50:v1"},
		"no tenant":            {[]string{"golden", "show", "a:v1"}, exitUsage, "--tenant"},
		"two tenants":          {[]string{"golden", "show", "--tenant", "acme", "globex/a:v1"}, exitUsage, "two tenants"},
		"no such tenant":       {[]string{"golden", "list", "--tenant", "nobody"}, exitNotFound, "policy"},
		"no such cluster":      {[]string{"golden", "list", "--cluster", "none"}, exitUsage, "none"},
		"no such golden":       {[]string{"golden", "show", "acme/a:v1"}, exitNotFound, "sdpctl golden import"},
		"delete what is not":   {[]string{"golden", "delete", "acme/a:v1"}, exitNotFound, "does not exist"},
		"no such file":         {[]string{"golden", "import", "acme/a:v1", "/nowhere/x"}, exitNotFound, "/nowhere/x"},
		"format":               {[]string{"golden", "import", "acme/a:v1", d.model, "--format", "ntfs"}, exitUsage, "ext4"},
		"backend":              {[]string{"golden", "import", "acme/a:v1", d.model, "--backend", "nfs"}, exitUsage, "rbd or cephfs"},
		"format of files":      {[]string{"golden", "import", "acme/a:v1", d.model, "--backend", "cephfs", "--format", "ext4"}, exitUsage, "--format"},
		"the other backend's":  {[]string{"golden", "import", "acme/taken:v1", d.model, "--backend", "cephfs"}, exitConflict, "backend rbd"},
		"other content":        {[]string{"golden", "import", "acme/taken:v1", other}, exitConflict, "another version"},
		"symlink out":          {[]string{"golden", "import", "acme/a:v1", astray}, exitUsage, "leads out"},
		"policy directory":     {[]string{"--config", "/", "golden", "list"}, exitUsage, "--config"},
		"no such policy file":  {[]string{"--config", "/nowhere/policy", "golden", "list"}, exitNotFound, "--config"},
		"golden of the filter": {[]string{"volume", "list", "--golden", "x"}, exitUsage, "name:version"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := d.run(tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.says) || strings.Contains(stderr, "\n") {
				t.Errorf("exit code %d, want %d, and %q in one line: %s", code, tt.code, tt.says, stderr)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	cases := map[int][]error{
		exitOK:          {nil},
		exitInternal:    {errors.New("a bug")},
		exitUsage:       {volume.ErrInvalid, volume.ErrBadToken, errUsage},
		exitNotFound:    {volume.ErrNotFound, fs.ErrNotExist},
		exitConflict:    {volume.ErrConflict, volume.ErrExists, volume.ErrPending},
		exitDenied:      {volume.ErrDenied, fs.ErrPermission},
		exitUnavailable: {volume.ErrUnavailable, context.DeadlineExceeded, errors.Join(volume.ErrNotFound, volume.ErrUnavailable)},
		exitInUse:       {volume.ErrInUse, volume.ErrHasSnapshots},
		exitNoSpace:     {volume.ErrNoSpace, volume.ErrOutOfRange},
		exitUnsupported: {volume.ErrUnsupported},
		exitInterrupted: {context.Canceled},
	}
	for code, all := range cases {
		for _, err := range all {
			if err != nil {
				err = fmt.Errorf("doing something: %w", err)
			}
			if got := exitCode(err); got != code {
				t.Errorf("%v: exit code %d, want %d", err, got, code)
			}
		}
		if line := fmt.Sprintf("\n  %-4d ", code); !strings.Contains(exitCodesHelp, line) {
			t.Errorf("--help does not explain exit code %d", code)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Runnable() && !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRootCommand(&app{}))
}

func TestProgressInPlainLines(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := newProgress(&out, "import x:v1")
	p.now = func() time.Time { return clock }
	for done := int64(0); done <= 100; done += 10 {
		p.report(golden.StepWrite, done<<20, 100<<20)
		clock = clock.Add(time.Second)
	}
	p.end()
	want := "0 B 30.0 MiB 60.0 MiB 90.0 MiB 100.0 MiB"
	var got []string
	for line := range strings.Lines(out.String()) {
		words := strings.TrimPrefix(line, "import x:v1: write ")
		done, _, _ := strings.Cut(words, " of ")
		got = append(got, done)
	}
	if strings.Join(got, " ") != want {
		t.Errorf("got %q", got)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "import x:v1")
	p.terminal = true
	p.report(golden.StepUnpack, 1, 0)
	p.report(golden.StepWrite, 0, 10)
	p.report(golden.StepWrite, 10, 10)
	p.end()
	for _, part := range []string{"unpack", "write", "100%"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in %q", part, out.String())
		}
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1500000000: "1.4 GiB", 1 << 62: "4.0 EiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
