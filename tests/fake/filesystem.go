package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// FileSystem is the CephFS of a Ceph: subvolumes, their snapshots, who holds
// those, and who may write. Its records are the Ceph's, and so are the faults.
type FileSystem struct {
	*Ceph

	subvolumes map[string]*subvolume // by Ceph's name
	references map[string]map[string]bool
	closed     map[string]bool // snapshots that are to go, by the names of references
	writers    map[string]bool
}

// subvolume is a subvolume. Its content is a word.
type subvolume struct {
	directory string
	size      int64
	content   string
	files     map[string]stored // of a golden, by path
	snapshots map[string]string // contents, by name
}

// NewFileSystem returns an empty file system of a Ceph.
func NewFileSystem(c *Ceph) *FileSystem {
	return &FileSystem{Ceph: c, subvolumes: map[string]*subvolume{}, references: map[string]map[string]bool{}, closed: map[string]bool{}, writers: map[string]bool{}}
}

func fullName(at tenant.Place, name string) string { return at.Tenant() + "." + name }

func (f *FileSystem) subvolume(name string) (*subvolume, error) {
	s, ok := f.subvolumes[name]
	if !ok {
		return nil, fmt.Errorf("subvolume: %w", volume.ErrNotFound)
	}
	return s, nil
}

// CreateSubvolume makes an empty subvolume. Present is success.
func (f *FileSystem) CreateSubvolume(ctx context.Context, at tenant.Place, name string, size int64) (string, error) {
	return get(ctx, f.Faults, "CreateSubvolume", name, func() (string, error) {
		s, ok := f.subvolumes[fullName(at, name)]
		if !ok {
			s = &subvolume{directory: f.newID(), snapshots: map[string]string{}}
			f.subvolumes[fullName(at, name)] = s
		}
		s.size = size
		return s.directory, nil
	})
}

// ResizeSubvolume sets the quota.
func (f *FileSystem) ResizeSubvolume(ctx context.Context, at tenant.Place, name string, size int64) error {
	return f.do(ctx, "ResizeSubvolume", name, func() error {
		s, err := f.subvolume(fullName(at, name))
		if err == nil {
			s.size = size
		}
		return err
	})
}

// RemoveSubvolume removes one without snapshots.
func (f *FileSystem) RemoveSubvolume(ctx context.Context, at tenant.Place, name string) error {
	return f.do(ctx, "RemoveSubvolume", name, func() error {
		if s := f.subvolumes[fullName(at, name)]; s != nil && len(s.snapshots) > 0 {
			return fmt.Errorf("subvolume: %w", volume.ErrHasSnapshots)
		}
		delete(f.subvolumes, fullName(at, name))
		return nil
	})
}

// ListSubvolumes returns a tenant's subvolumes.
func (f *FileSystem) ListSubvolumes(ctx context.Context, at tenant.Place) ([]string, error) {
	return get(ctx, f.Faults, "ListSubvolumes", at.String(), func() (names []string, _ error) {
		for full := range f.subvolumes {
			if name, ok := strings.CutPrefix(full, at.Tenant()+"."); ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names, nil
	})
}

// Fill gives a subvolume its content.
func (f *FileSystem) Fill(at tenant.Place, name, content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subvolumes[fullName(at, name)].content = content
}

// Content returns a subvolume's content.
func (f *FileSystem) Content(at tenant.Place, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.subvolumes[fullName(at, name)].content
}

// SnapshotContent returns a snapshot's content.
func (f *FileSystem) SnapshotContent(of cephfs.Snapshot) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.subvolumes[of.Tenant+"."+of.Subvolume].snapshots[of.Name]
}

// Copy copies the snapshot's content into an empty subvolume.
func (f *FileSystem) Copy(ctx context.Context, at tenant.Place, from cephfs.Snapshot, to string, read func(int64)) error {
	return f.do(ctx, "Copy", to, func() error {
		source, err := f.subvolume(from.Tenant + "." + from.Subvolume)
		if err != nil {
			return err
		}
		target, err := f.subvolume(fullName(at, to))
		if err != nil {
			return err
		}
		content, ok := source.snapshots[from.Name]
		if !ok {
			return fmt.Errorf("snapshot %s: %w", from.Name, volume.ErrNotFound)
		}
		target.content = content
		read(int64(len(content)))
		return nil
	})
}

// CreateSnapshot takes a snapshot. Present is success.
func (f *FileSystem) CreateSnapshot(ctx context.Context, at tenant.Place, name, snapshot string) error {
	return f.do(ctx, "CreateSnapshot", name+"@"+snapshot, func() error {
		s, err := f.subvolume(fullName(at, name))
		if err != nil {
			return err
		}
		if _, ok := s.snapshots[snapshot]; !ok {
			s.snapshots[snapshot] = s.content
		}
		return nil
	})
}

// RemoveSnapshot lets nobody hold the snapshot any more, removes it, and forgets
// its holders.
func (f *FileSystem) RemoveSnapshot(ctx context.Context, at tenant.Place, name, snapshot string) error {
	held := cephfs.Snapshot{Tenant: at.Tenant(), Subvolume: name, Name: snapshot}
	return f.do(ctx, "RemoveSnapshot", name+"@"+snapshot, func() error { return f.close(held) }, func() error {
		if s := f.subvolumes[fullName(at, name)]; s != nil {
			delete(s.snapshots, snapshot)
		}
		return nil
	}, func() error {
		delete(f.closed, heldName(held))
		return nil
	})
}

// CloseReferences lets nobody hold the snapshot any more.
func (f *FileSystem) CloseReferences(ctx context.Context, _ tenant.Place, to cephfs.Snapshot) error {
	return f.do(ctx, "CloseReferences", heldName(to), func() error { return f.close(to) })
}

func (f *FileSystem) close(to cephfs.Snapshot) error {
	if len(f.references[heldName(to)]) > 0 {
		return fmt.Errorf("somebody holds it: %w", volume.ErrInUse)
	}
	f.closed[heldName(to)] = true
	return nil
}

func heldName(s cephfs.Snapshot) string { return s.Tenant + "." + s.Subvolume + "@" + s.Name }

// AddReference adds a holder.
func (f *FileSystem) AddReference(ctx context.Context, _ tenant.Place, to cephfs.Snapshot, user string) error {
	return f.do(ctx, "AddReference", heldName(to), func() error {
		if f.closed[heldName(to)] {
			return fmt.Errorf("it is being removed: %w", volume.ErrNotFound)
		}
		if f.references[heldName(to)] == nil {
			f.references[heldName(to)] = map[string]bool{}
		}
		f.references[heldName(to)][user] = true
		return nil
	})
}

// HasReference looks for a holder.
func (f *FileSystem) HasReference(ctx context.Context, _ tenant.Place, to cephfs.Snapshot, user string) (bool, error) {
	return get(ctx, f.Faults, "HasReference", heldName(to), func() (bool, error) { return f.references[heldName(to)][user], nil })
}

// RemoveReference removes a holder.
func (f *FileSystem) RemoveReference(ctx context.Context, _ tenant.Place, to cephfs.Snapshot, user string) error {
	return f.do(ctx, "RemoveReference", heldName(to), func() error {
		delete(f.references[heldName(to)], user)
		return nil
	})
}

// AddWriter makes the writer of a subvolume.
func (f *FileSystem) AddWriter(ctx context.Context, at tenant.Place, name, _ string) error {
	return f.do(ctx, "AddWriter", name, func() error {
		f.writers[fullName(at, name)] = true
		return nil
	})
}

// RemoveWriter removes it.
func (f *FileSystem) RemoveWriter(ctx context.Context, at tenant.Place, name string) error {
	return f.do(ctx, "RemoveWriter", name, func() error {
		delete(f.writers, fullName(at, name))
		return nil
	})
}

// Contents lists all that the file system and the place hold, one line each
// and sorted: subvolumes, snapshots, holders, writers, and what Ceph.Contents
// has.
func (f *FileSystem) Contents(at tenant.Place) []string {
	all := f.Ceph.Contents(at)
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, s := range f.subvolumes {
		all = append(all, fmt.Sprintf("subvolume %s %d %q", name, s.size, s.content))
		for snapshot := range s.snapshots {
			all = append(all, "snapshot "+name+"@"+snapshot)
		}
	}
	for name, users := range f.references {
		for user := range users {
			all = append(all, "reference to "+name+" of "+user)
		}
	}
	for name := range f.closed {
		all = append(all, "closed "+name)
	}
	for name := range f.writers {
		all = append(all, "writer of "+name)
	}
	slices.Sort(all)
	return all
}
