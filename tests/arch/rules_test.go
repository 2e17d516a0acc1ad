package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each tree below testdata is a project; the violations are those of one rule
// unless several are named.
func TestRulesCatch(t *testing.T) {
	type rules = []func(Tree) []Violation
	for name, c := range map[string]struct {
		rules rules
		want  []string
	}{
		"good": {rules{Check}, nil},
		"imports": {rules{ownImports}, []string{
			"cmd/sdp-csi/main.go:4: cmd must not import tests/fake",
			"cmd/sdp-export/main.go:4: cmd/sdp-export must not import pkg/driver",
			"cmd/sdp-export/main.go:5: cmd/sdp-export must not import pkg/tenant",
			"cmd/sdpctl/main.go:4: cmd/sdpctl must not import pkg/driver",
			"cmd/sdpctl/main.go:5: cmd/sdpctl must not import tests/fake",
			"hack/demo/demo.go:4: hack must not import pkg/driver",
			"internal/x/doc.go:2: the design has no place for internal/x",
			"pkg/ceph/up.go:4: pkg/ceph must not import pkg/driver",
			"pkg/cephfs/side.go:4: pkg/cephfs must not import pkg/rbd",
			"pkg/driver/side.go:4: pkg/driver must not import pkg/mount",
			"pkg/driver/side.go:5: pkg/driver must not import pkg/rbd",
			"pkg/golden/side.go:4: pkg/golden must not import pkg/driver",
			"pkg/mount/up.go:4: pkg/mount must not import pkg/rbd",
			"pkg/rbd/krbd/up.go:4: pkg/rbd must not import pkg/ceph",
			"pkg/rbd/side.go:4: pkg/rbd must not import pkg/cephfs",
			"pkg/rbd/side.go:5: pkg/rbd must not import tests/fake",
			"pkg/tenant/up.go:4: pkg/tenant must not import pkg/golden",
			"pkg/volume/up.go:4: pkg/volume must not import pkg/tenant",
			"pkg/volumes/doc.go:2: the design has no place for pkg/volumes",
			"tests/arch/arch.go:4: tests/arch must not import pkg/volume",
			"tests/bench/bench.go:4: tests must not import hack/demo",
			"tests/fake/fake.go:4: tests/fake must not import pkg/ceph",
			"tests/fake/fake.go:5: tests/fake must not import pkg/mount",
		}},
		"foreign": {rules{foreignImports}, []string{
			"cmd/sdp-csi/main.go:4: only pkg/driver may import github.com/container-storage-interface/spec",
			"cmd/sdp-csi/main.go:5: only pkg/driver may import google.golang.org/grpc",
			"pkg/golden/store.go:4: only pkg/ceph may import github.com/ceph/go-ceph",
			"pkg/golden/store.go:5: only pkg/driver may import google.golang.org/grpc",
			"pkg/rbd/mount.go:4: only pkg/ceph may import C",
			"pkg/rbd/mount.go:5: only pkg/mount may import k8s.io/mount-utils",
			"pkg/rbd/mount_test.go:4: only pkg/driver may import google.golang.org/grpc",
			"tests/sanity/m_test.go:4: only pkg/mount may import k8s.io/mount-utils",
		}},
		"form": {rules{documents, lengths, names, leftovers}, []string{
			"pkg/ceph/long.go:401: the file has 401 lines, more than 400",
			"pkg/driver: the package has no doc.go with a package comment",
			"pkg/golden/long.go:5: long has 61 lines, more than 60",
			"pkg/golden/long.go:69: method has 62 lines, more than 60",
			`pkg/mount/doc.go:2: "base" does not say what is inside`,
			`pkg/rbd/common/doc.go:2: "common" does not say what is inside`,
			`pkg/rbd/helper.go:1: "helper" does not say what is inside`,
			`pkg/rbd/image_utils.go:1: "utils" does not say what is inside`,
			`pkg/rbd/manager_test.go:1: "manager" does not say what is inside`,
			"pkg/tenant: the package has no doc.go with a package comment",
			"pkg/volume/id.go:3: a comment says " + "TO" + "DO",
			"pkg/volume/id.go:6: a comment says " + "FIX" + "ME",
			"pkg/volume: the package has no doc.go with a package comment",
		}},
		"state": {rules{state}, []string{
			"pkg/volume/other.go:4: level is a package-level variable and is changed",
			"pkg/volume/vars.go:10: mu is package-level state",
			"pkg/volume/vars.go:12: once is package-level state",
			"pkg/volume/vars.go:14: pointer is package-level state",
			"pkg/volume/vars.go:16: cache is package-level state",
			"pkg/volume/vars.go:18: shared is package-level state",
			"pkg/volume/vars.go:20: hook is package-level state",
			"pkg/volume/vars.go:22: a is package-level state",
			"pkg/volume/vars.go:28: init runs before anybody asked for it",
			"pkg/volume/vars.go:8: count is package-level state",
			"pkg/volume/writes.go:15: sizes is a package-level variable and is changed",
			"pkg/volume/writes.go:16: sizes is a package-level variable and is changed",
			"pkg/volume/writes.go:17: names is a package-level variable and is changed",
			"pkg/volume/writes.go:18: names is a package-level variable and is changed",
			"pkg/volume/writes.go:19: whole is a package-level variable and is changed",
			"pkg/volume/writes.go:20: level is a package-level variable and is changed",
			"pkg/volume/writes.go:23: given is a package-level variable and is changed",
			"pkg/volume/writes.go:24: taken is a package-level variable and is changed",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := Read(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, rule := range c.rules {
				for _, v := range rule(tree) {
					have = append(have, v.String())
				}
			}
			slices.Sort(have)
			if !slices.Equal(have, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "id.go"), []byte("package volume\n\nfunc {\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{
		"what does not parse": broken,
		"nothing":             t.TempDir(),
		"no directory":        filepath.Join("testdata", "none"),
	} {
		t.Run(name, func(t *testing.T) {
			if tree, err := Read(root); err == nil {
				t.Fatalf("got %d files", len(tree))
			}
		})
	}
}

// Every tree of testdata is used.
func TestNoTreeIsForgotten(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"foreign", "form", "good", "imports", "state"}, e.Name()) {
			t.Errorf("testdata/%s is in no test", e.Name())
		}
	}
}
