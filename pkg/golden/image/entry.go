package image

import "io"

// Kind is what an Entry is.
type Kind int

// The kinds of entries.
const (
	File Kind = iota
	Directory
	Symlink
)

// Entry is one name of a tree, as it is to appear in a golden.
type Entry struct {
	Kind   Kind
	Path   string // from the root, without a leading slash; empty: the root
	Perm   uint16 // the nine permission bits
	UID    uint32
	GID    uint32
	Size   int64  // of a file
	Target string // of a symbolic link

	open func() (io.ReadCloser, error)
}

// Open opens a file's content. It has Size bytes, or reading it fails.
func (e Entry) Open() (io.ReadCloser, error) { return e.open() }

// With returns the entry with a content: for stores that give back what they
// were given.
func (e Entry) With(open func() (io.ReadCloser, error)) Entry {
	e.open = open
	return e
}

// Entries calls visit for the root and for what is below, directories before
// their entries, in byte order of the names, until one fails. A file with
// several names comes once for each.
func (t *Tree) Entries(visit func(Entry) error) error {
	return visitEntry("", t.root, visit)
}

func visitEntry(path string, n *node, visit func(Entry) error) error {
	if err := visit(newEntry(path, n)); err != nil {
		return err
	}
	for _, e := range n.entries {
		below := e.name
		if path != "" {
			below = path + "/" + e.name
		}
		if err := visitEntry(below, e.node, visit); err != nil {
			return err
		}
	}
	return nil
}

func newEntry(path string, n *node) Entry {
	kinds := map[kind]Kind{file: File, directory: Directory, symlink: Symlink}
	return Entry{Kind: kinds[n.kind], Path: path, Perm: n.perm, UID: n.uid, GID: n.gid, Size: n.size, Target: n.target, open: n.open}
}
