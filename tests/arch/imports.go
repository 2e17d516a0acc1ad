package arch

import (
	"slices"
	"strconv"
	"strings"
)

// layer is a directory and which directories of the project its packages may
// import, beside each other. Tests may import more.
type layer struct {
	dir   string
	may   []string
	tests []string
}

// layers returns the table of the design, the more special directory first.
// Imports flow volume ← mount, tenant ← record ← golden, rbd, cephfs ← ceph ←
// cmd, and driver ← cmd.
func layers() []layer {
	low := []string{"pkg/volume", "pkg/tenant", "pkg/record", "pkg/mount", "pkg/mounter", "pkg/sharing", "pkg/keyring"}
	return []layer{
		{dir: "pkg/volume"},
		{dir: "pkg/build"},
		{dir: "pkg/mount", may: []string{"pkg/volume"}},
		{dir: "pkg/mounter", may: []string{"pkg/volume"}},
		{dir: "pkg/sharing", may: []string{"pkg/volume"}},
		{dir: "pkg/keyring", may: []string{"pkg/volume"}},
		{dir: "pkg/tenant", may: []string{"pkg/volume"}, tests: []string{"tests/fake"}},
		{dir: "pkg/record", may: []string{"pkg/volume", "pkg/tenant"}, tests: []string{"tests/fake"}},
		{dir: "pkg/golden", may: []string{"pkg/volume", "pkg/tenant", "pkg/record"}, tests: []string{"tests/fake", "tests/realceph", "pkg/rbd", "pkg/cephfs", "pkg/ceph"}},
		{dir: "pkg/rbd", may: low, tests: []string{"tests/fake", "tests/realceph", "pkg/ceph", "pkg/golden"}},
		{dir: "pkg/cephfs", may: low, tests: []string{"tests/fake", "tests/realceph", "pkg/ceph", "pkg/golden"}},
		{dir: "pkg/ceph", may: append([]string{"pkg/golden", "pkg/rbd", "pkg/cephfs"}, low...), tests: []string{"tests/realceph"}},
		{dir: "pkg/driver", may: []string{"pkg/volume", "pkg/tenant"}, tests: []string{"tests/fake", "pkg/rbd", "pkg/cephfs"}},
		// What speaks to Kubernetes knows the policy, and Ceph through ports.
		{dir: "pkg/kubernetes", may: []string{"pkg/volume", "pkg/tenant"}, tests: []string{"tests/fake", "tests/realceph", "pkg/golden", "pkg/ceph"}},
		// A server of one image: it has no business with CSI or tenants.
		{dir: "cmd/sdp-export", may: []string{"pkg/volume", "pkg/rbd", "pkg/ceph"}},
		// The operator's program has no business with CSI. It reads the mount table.
		{dir: "cmd/sdpctl", may: []string{"pkg/build", "pkg/volume", "pkg/tenant", "pkg/golden", "pkg/rbd", "pkg/cephfs", "pkg/ceph", "pkg/mount", "pkg/sharing", "pkg/kubernetes"}, tests: []string{"tests"}},
		{dir: "cmd", may: []string{"pkg"}, tests: []string{"tests"}},
		{dir: "tests/arch"},
		// The fake stands in for Ceph and the kernel: it knows their ports.
		{dir: "tests/fake", may: []string{"pkg/volume", "pkg/tenant", "pkg/golden", "pkg/rbd", "pkg/cephfs"}, tests: []string{"pkg/driver"}},
		{dir: "tests", may: []string{"pkg", "tests"}},
		{dir: "hack", may: nil},
	}
}

// layerOf returns the layer of a directory.
func layerOf(dir string) (layer, bool) {
	all := layers()
	i := slices.IndexFunc(all, func(l layer) bool { return in(dir, l.dir) })
	if i < 0 {
		return layer{}, false
	}
	return all[i], true
}

// ownImports keeps imports among the project's packages to the table.
func ownImports(t Tree) []Violation {
	return t.each(func(f File) (all []Violation) {
		l, ok := layerOf(f.Dir)
		if !ok {
			return []Violation{f.at(f.AST.Package, "the design has no place for %s", f.Dir)}
		}
		for _, i := range f.AST.Imports {
			dir, mine := strings.CutPrefix(importPath(i.Path.Value), Module+"/")
			if mine && !l.allows(dir, f.Test) {
				all = append(all, f.at(i.Pos(), "%s must not import %s", l.dir, dir))
			}
		}
		return all
	})
}

func importPath(literal string) string {
	p, _ := strconv.Unquote(literal) // the parser has seen it
	return p
}

func (l layer) allows(dir string, test bool) bool {
	allowed := append([]string{l.dir}, l.may...)
	if test {
		allowed = append(allowed, l.tests...)
	}
	return slices.ContainsFunc(allowed, func(a string) bool { return in(dir, a) })
}

// owner is a foreign package and where it may be imported.
type owner struct {
	path string
	dirs []string
}

// owners returns which packages have one place. Tests and demonstrations are
// clients, and so may speak gRPC.
func owners() []owner {
	speakers := []string{"pkg/driver", "tests", "hack"}
	clients := []string{"pkg/kubernetes", "tests", "hack"}
	return []owner{
		{"github.com/ceph/go-ceph", []string{"pkg/ceph", "tests"}},
		{"C", []string{"pkg/ceph"}},
		{"k8s.io/mount-utils", []string{"pkg/mount"}},
		{"k8s.io/client-go", clients},
		{"k8s.io/api", clients},
		{"k8s.io/apimachinery", clients},
		{"google.golang.org/grpc", speakers},
		{"google.golang.org/genproto", speakers},
		{"github.com/container-storage-interface/spec", speakers},
	}
}

// foreignImports keeps packages with one place there, and pkg/volume to the
// standard library.
func foreignImports(t Tree) []Violation {
	return t.each(func(f File) (all []Violation) {
		for _, i := range f.AST.Imports {
			path := importPath(i.Path.Value)
			for _, o := range owners() {
				if in(path, o.path) && !slices.ContainsFunc(o.dirs, func(d string) bool { return in(f.Dir, d) }) {
					all = append(all, f.at(i.Pos(), "only %s may import %s", o.dirs[0], o.path))
				}
			}
			if in(f.Dir, "pkg/volume") && !in(path, Module) && strings.Contains(path, ".") {
				all = append(all, f.at(i.Pos(), "pkg/volume uses the standard library only, not %s", path))
			}
		}
		return all
	})
}
