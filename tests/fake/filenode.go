package fake

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// FileNode is a node that mounts a file system: a mount table, the processes
// that serve mounts, and the directories that were made. What it holds outlives
// the driver. It shares its file system's faults. It implements cephfs.Mounter
// and cephfs.Host.
type FileNode struct {
	files       *FileSystem
	rows        []fileRow
	processes   map[string]*fileProcess // by the path that they serve
	directories map[string]bool
}

// fileRow is a mount. What it shows has died when its process has.
type fileRow struct {
	path string
	volume.Mount
	lower, inside string // of an overlay
	by            *fileProcess
}

type fileProcess struct {
	target cephfs.Target
	user   string
	dead   bool
}

// NewFileNode returns a node with nothing on it.
func NewFileNode(f *FileSystem) *FileNode {
	return &FileNode{files: f, processes: map[string]*fileProcess{}, directories: map[string]bool{}}
}

// Contents lists all that the node holds, one line each and sorted.
func (n *FileNode) Contents() (all []string) {
	n.files.mu.Lock()
	defer n.files.mu.Unlock()
	for _, r := range n.rows {
		all = append(all, fmt.Sprintf("mount %s of %s %s", r.path, path.Join(r.Device, r.lower, r.inside), access(r.ReadOnly)))
	}
	for p := range n.processes {
		all = append(all, "process at "+p)
	}
	for d := range n.directories {
		all = append(all, "directory "+d)
	}
	slices.Sort(all)
	return all
}

// Kill kills the process that serves a directory of the file system; what is
// mounted of it is dead.
func (n *FileNode) Kill(root string) {
	n.files.mu.Lock()
	defer n.files.mu.Unlock()
	for at, p := range n.processes {
		if p.target.Root == root {
			p.dead = true
			delete(n.processes, at)
		}
	}
}

// User returns as whom the mount at a path was made.
func (n *FileNode) User(path string) string {
	n.files.mu.Lock()
	defer n.files.mu.Unlock()
	if r := n.top(path); r != nil && r.by != nil {
		return r.by.user
	}
	return ""
}

func (n *FileNode) top(path string) *fileRow {
	for i := len(n.rows) - 1; i >= 0; i-- {
		if n.rows[i].path == path {
			return &n.rows[i]
		}
	}
	return nil
}

// Mount makes the directory, starts a process, and then the mount is there.
func (n *FileNode) Mount(ctx context.Context, t cephfs.Target, path string, options []string, by volume.Credentials) error {
	if err := mustBeHarmless(options); err != nil {
		return err
	}
	if there, err := t.IsMounted(ctx, n, path); err != nil || there {
		return err
	}
	return n.files.do(ctx, "Mount", path, func() error {
		n.directories[path] = true
		return nil
	}, func() error {
		if err := n.permit(t, by); err != nil || n.processes[path] != nil {
			return err
		}
		n.processes[path] = &fileProcess{target: t, user: by.User}
		return nil
	}, func() error {
		p := n.processes[path]
		if p == nil {
			return fmt.Errorf("the process was ended: %w", volume.ErrUnavailable)
		}
		row := volume.Mount{Device: p.target.TableSource(cephfs.FUSESource), FsType: "fuse", ReadOnly: p.target.ReadOnly}
		n.rows = append(n.rows, fileRow{path: path, Mount: row, by: p})
		return nil
	})
}

func mustBeHarmless(options []string) error {
	for _, o := range options {
		if !slices.Contains(harmless[:], o) {
			return fmt.Errorf("mount option %q is not known to be harmless: %w", o, volume.ErrInvalid)
		}
	}
	return nil
}

// permit says whether the key may mount the directory, and that it is there.
func (n *FileNode) permit(t cephfs.Target, by volume.Credentials) error {
	words := strings.Split(strings.TrimPrefix(t.Root, "/volumes/"), "/")
	s, err := n.files.subvolume(words[1])
	if err != nil {
		return err
	}
	if len(words) > 2 && words[2] != s.directory {
		return fmt.Errorf("directory %s: %w", words[2], volume.ErrNotFound)
	}
	if by == writerOf(words[1]) && n.files.writers[words[1]] && len(words) > 2 {
		return nil
	}
	if !t.ReadOnly {
		return fmt.Errorf("%s may not write: %w", by.User, volume.ErrDenied)
	}
	return n.files.Ceph.permit(by, words[0])
}

// Unmount implements cephfs.Mounter and cephfs.Table: it unmounts, and then what
// served the mount ends.
func (n *FileNode) Unmount(ctx context.Context, path string) error {
	return n.files.do(ctx, "Unmount", path, func() error {
		n.rows = slices.DeleteFunc(n.rows, func(r fileRow) bool { return r.path == path })
		return nil
	}, func() error {
		delete(n.processes, path)
		return nil
	})
}

// Limit returns no limit.
func (n *FileNode) Limit() int64 { return 0 }

// Mounted returns what is mounted on a path.
func (n *FileNode) Mounted(ctx context.Context, path string) (volume.Mount, error) {
	return get(ctx, n.files.Faults, "Mounted", path, func() (volume.Mount, error) {
		if r := n.top(path); r != nil {
			return r.Mount, nil
		}
		return volume.Mount{}, fmt.Errorf("mount: %w", volume.ErrNotFound)
	})
}

// IsDead says whether the process behind a path was killed.
func (n *FileNode) IsDead(ctx context.Context, path string) (bool, error) {
	return get(ctx, n.files.Faults, "IsDead", path, func() (bool, error) {
		r := n.top(path)
		return r != nil && r.by != nil && r.by.dead, nil
	})
}

// Unpublish unmounts a path and removes the directory.
func (n *FileNode) Unpublish(ctx context.Context, path string) error {
	return n.files.do(ctx, "Unpublish", path, func() error {
		n.rows = slices.DeleteFunc(n.rows, func(r fileRow) bool { return r.path == path })
		return nil
	}, func() error {
		delete(n.directories, path)
		return nil
	})
}

// Below returns the directories in dir and what is mounted on them.
func (n *FileNode) Below(ctx context.Context, dir string) (map[string]volume.Mount, error) {
	return get(ctx, n.files.Faults, "Below", dir, func() (map[string]volume.Mount, error) {
		found := map[string]volume.Mount{}
		for d := range n.directories {
			if filepath.Dir(d) == dir {
				found[filepath.Base(d)] = volume.Mount{}
				if r := n.top(d); r != nil {
					found[filepath.Base(d)] = r.Mount
				}
			}
		}
		return found, nil
	})
}

// FileSystems returns all mounts.
func (n *FileNode) FileSystems(ctx context.Context) ([]volume.Mount, error) {
	return get(ctx, n.files.Faults, "FileSystems", "", func() (all []volume.Mount, err error) {
		for _, r := range n.rows {
			all = append(all, r.Mount)
		}
		return all, nil
	})
}

// Overlay shows a directory of a mount, which must be there.
func (n *FileNode) Overlay(ctx context.Context, o volume.Overlay, options []string) error {
	if err := mustBeHarmless(options); err != nil {
		return err
	}
	return n.files.do(ctx, "Overlay", o.Path, func() error {
		lower := n.top(o.Lower)
		if lower == nil {
			return fmt.Errorf("nothing is mounted on %s: %w", o.Lower, volume.ErrInUse)
		}
		if r := n.top(o.Path); r != nil {
			if r.lower != o.Lower || r.inside != o.Inside || r.Device != o.Shows {
				return fmt.Errorf("%s shows %s: %w", o.Path, r.Device, volume.ErrConflict)
			}
			return nil
		}
		if err := n.mustHave(lower, o.Inside); err != nil {
			return err
		}
		row := volume.Mount{Device: o.Shows, FsType: volume.OverlayType, ReadOnly: true}
		n.rows = append(n.rows, fileRow{path: o.Path, Mount: row, lower: o.Lower, inside: o.Inside, by: lower.by})
		return nil
	})
}

// mustHave looks for .snap/<snapshot>/<directory> of what is mounted.
func (n *FileNode) mustHave(r *fileRow, inside string) error {
	s, err := n.files.subvolume(path.Base(r.by.target.Root))
	if err != nil {
		return err
	}
	words := strings.Split(inside, "/")
	if r.by.dead || len(words) != 3 || words[0] != ".snap" || words[2] != s.directory {
		return fmt.Errorf("%s in %s: %w", inside, r.Device, volume.ErrNotFound)
	}
	if _, ok := s.snapshots[words[1]]; !ok {
		return fmt.Errorf("%s in %s: %w", inside, r.Device, volume.ErrNotFound)
	}
	return nil
}

// Overlays returns the overlays of what is mounted in dir.
func (n *FileNode) Overlays(ctx context.Context, dir string) ([]volume.Overlay, error) {
	return get(ctx, n.files.Faults, "Overlays", dir, func() (all []volume.Overlay, err error) {
		for _, r := range n.rows {
			if r.lower != "" && filepath.Dir(r.lower) == dir {
				all = append(all, volume.Overlay{Path: r.path, Lower: r.lower, Inside: r.inside, Shows: r.Device})
			}
		}
		return all, nil
	})
}

// Prefetch reads the whole of a subvolume's content.
func (n *FileNode) Prefetch(ctx context.Context, dir string, _ bool, read func(bytes int64)) error {
	err := n.files.do(ctx, "Prefetch", dir, func() error { return nil })
	if err == nil {
		read(1)
	}
	return err
}
