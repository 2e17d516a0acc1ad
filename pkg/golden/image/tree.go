package image

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Bounds of a tree. They keep a hostile tar from filling the memory.
const (
	maxNodes = 1 << 23
	maxName  = 255
	maxPath  = 4096
)

// kind is what a node is.
type kind int

const (
	file kind = iota
	directory
	symlink
)

// node is a file, directory or symbolic link. A file with several names is
// one node that several entries point to.
type node struct {
	kind kind
	perm uint16 // the nine permission bits
	uid  uint32
	gid  uint32

	size   int64                         // of a file
	open   func() (io.ReadCloser, error) // a file's content, size bytes
	target string                        // of a symbolic link

	entries []entry        // of a directory, in byte order once the tree is made
	byName  map[string]int // index into entries while a tree grows
}

// entry is a name in a directory.
type entry struct {
	name string
	node *node
}

// Tree is what goes into an image. Close releases what it holds open.
type Tree struct {
	root    *node
	nodes   int
	bytes   int64
	closers []io.Closer
}

// Bytes returns the sum of the files' sizes.
func (t *Tree) Bytes() int64 { return t.bytes }

// Close closes the files that contents are read from.
func (t *Tree) Close() error {
	var first error
	for _, c := range t.closers {
		first = cmp.Or(first, c.Close())
	}
	return first
}

func newTree() *Tree {
	return &Tree{root: &node{kind: directory, perm: 0o755}, nodes: 1}
}

// admit counts a new node and refuses one too many.
func (t *Tree) admit(n *node) error {
	t.nodes++
	if t.nodes > maxNodes {
		return fmt.Errorf("more than %d files: split the data set: %w", maxNodes, volume.ErrInvalid)
	}
	t.bytes += n.size
	return nil
}

// add puts a name into a directory, over an earlier one.
func (n *node) add(name string, child *node) {
	if n.byName == nil {
		n.byName = map[string]int{}
	}
	if i, ok := n.byName[name]; ok {
		n.entries[i].node = child
		return
	}
	n.byName[name] = len(n.entries)
	n.entries = append(n.entries, entry{name, child})
}

// child returns what a name in a directory is, nil for nothing.
func (n *node) child(name string) *node {
	if i, ok := n.byName[name]; ok {
		return n.entries[i].node
	}
	return nil
}

// finish sorts every directory: the order of names must not depend on the
// order in which a file system or a tar gave them.
func (t *Tree) finish() {
	t.walk(func(n *node) {
		slices.SortFunc(n.entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
		n.byName = nil
	})
}

// walk calls visit for each node once, directories before their entries.
func (t *Tree) walk(visit func(*node)) {
	seen := map[*node]bool{}
	var step func(n *node)
	step = func(n *node) {
		if n.kind == file {
			if seen[n] {
				return
			}
			seen[n] = true
		}
		visit(n)
		for _, e := range n.entries {
			step(e.node)
		}
	}
	step(t.root)
}

// walkEntries calls visit for what each name below the root is, directories before
// their entries, in byte order.
func (t *Tree) walkEntries(visit func(*node)) {
	var step func(n *node)
	step = func(n *node) {
		for _, e := range n.entries {
			visit(e.node)
			step(e.node)
		}
	}
	step(t.root)
}

// eachFile calls visit for each file once, until one fails.
func (t *Tree) eachFile(visit func(*node) error) error {
	var err error
	t.walk(func(n *node) {
		if err == nil && n.kind == file {
			err = visit(n)
		}
	})
	return err
}

// checkName refuses a name that a directory cannot have.
func checkName(path, name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%.256q: a name in it is empty, «..», too long or has a NUL: %w", path, volume.ErrInvalid)
	}
	return nil
}

// checkLink refuses a symbolic link that leads out of the tree: in a golden
// it would point at something of whoever reads it. dir is the link's own
// directory in the tree.
func checkLink(dir, name, target string) error {
	depth := 0
	for _, part := range strings.Split(dir, "/") {
		if part != "" && part != "." {
			depth++
		}
	}
	bad := target == "" || len(target) >= maxPath || target[0] == '/' || strings.ContainsRune(target, 0)
	for _, part := range strings.Split(target, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		bad = bad || depth < 0
	}
	if bad {
		return fmt.Errorf("symbolic link %.256q leads out of the data set (to %.256q): %w", dir+"/"+name, target, volume.ErrInvalid)
	}
	return nil
}

// plainPerm are the permissions that everybody can read with: who owned a
// file on the importing machine means nothing in a pod.
func plainPerm(k kind, perm uint16) uint16 {
	if k != file || perm&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

// unixMode is a node's type and permissions as file systems keep them.
func unixMode(n *node) uint16 {
	switch n.kind {
	case directory:
		return 0o040000 | n.perm
	case symlink:
		return 0o120000 | 0o777
	}
	return 0o100000 | n.perm
}
