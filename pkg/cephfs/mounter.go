package cephfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Target is a directory of a file system that a node mounts.
type Target struct {
	Monitors   []string // host:port, messenger v2
	FSID       string   // of the cluster
	FileSystem string
	Root       string // the directory
	ReadOnly   bool
}

// Source names a target in the mount table, after whatever a mounter has to put
// before it. It is the kernel client's own way to write one, after the user.
func (t Target) Source() string { return t.FSID + "." + t.FileSystem + "=" + t.Root }

// sourceMark is where a source begins in the mount table: after the kernel
// client's user or, for others, FUSESource.
const sourceMark = "@"

// FUSESource is what a mount by a program has as its user: there it shows whose
// mount it is.
const FUSESource = "sdp-cephfs"

// TableSource is a target's source in the mount table, for a user.
func (t Target) TableSource(user string) string { return user + sourceMark + t.Source() }

// rootOf returns which directory a row of the mount table shows, and of which
// cluster and file system; false for one that is of no mounter.
func rootOf(row volume.Mount) (where, root string, ok bool) {
	_, rest, ok := strings.Cut(row.Device, sourceMark)
	if !ok {
		return "", "", false
	}
	where, root, ok = strings.Cut(rest, "=")
	return where, root, ok && path.IsAbs(root)
}

// Shows says whether a row of the mount table is a mount of t.
func (t Target) Shows(row volume.Mount) bool {
	_, rest, ok := strings.Cut(row.Device, sourceMark)
	return ok && rest == t.Source()
}

// Mounter mounts directories of file systems. Its state is what the kernel and
// the process table show, so any mounter of the same kind goes on where a killed
// one stopped. Safe for concurrent use; calls for one path are serialised by the
// caller, calls for different ones never wait for each other.
type Mounter interface {
	// Mount shows t at path, a directory that it makes. There already is
	// success, whoever mounted it; there in another way wraps
	// volume.ErrConflict. A mount that has died is replaced. options are the
	// class's mount options; one that is not known to be harmless wraps
	// volume.ErrInvalid. It wraps volume.ErrDenied for a key that may not,
	// volume.ErrNotFound without the directory, volume.ErrUnavailable when
	// Ceph does not answer. What a failed Mount began it has undone, but for
	// the directory.
	Mount(ctx context.Context, t Target, path string, options []string, c volume.Credentials) error
	// Unmount unmounts path, as often as it is mounted, and returns when what
	// served it has ended: then all that was written is in Ceph. The directory
	// stays. Absent is success; one that is open wraps volume.ErrInUse.
	Unmount(ctx context.Context, path string) error
	// Limit returns how many mounts the node can have; 0: no limit of its own.
	Limit() int64
}

// kinds is a mounter that makes new mounts in one way, and goes on with those
// that were made in another one before the driver's flags were changed.
type kinds struct {
	Mounter
	others []Mounter
}

// Kinds returns a Mounter that mounts with the preferred one, and removes what
// the others have mounted. What they have, the preferred one finds in the mount
// table.
func Kinds(preferred Mounter, others ...Mounter) Mounter {
	return &kinds{Mounter: preferred, others: others}
}

// Unmount implements Mounter.
func (k *kinds) Unmount(ctx context.Context, path string) error {
	failed := []error{k.Mounter.Unmount(ctx, path)}
	for _, other := range k.others {
		failed = append(failed, other.Unmount(ctx, path))
	}
	return errors.Join(failed...)
}

// Table is the mount table as mounters need it. pkg/mount implements it.
type Table interface {
	// Mounted returns what is mounted on path; volume.ErrNotFound when nothing
	// is.
	Mounted(ctx context.Context, path string) (volume.Mount, error)
	// IsDead says whether what is mounted on path answers nothing any more.
	// Nothing is not dead. One that does not answer, and may yet, wraps
	// volume.ErrUnavailable after a while.
	IsDead(ctx context.Context, path string) (bool, error)
	// Unmount unmounts path, as often as it is mounted. Absent or not mounted
	// is success; one that is open wraps volume.ErrInUse.
	Unmount(ctx context.Context, path string) error
}

// IsMounted says whether path shows t already; volume.ErrConflict where it
// shows something else. What has died it unmounts.
func (t Target) IsMounted(ctx context.Context, table Table, path string) (bool, error) {
	row, err := table.Mounted(ctx, path)
	if errors.Is(err, volume.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	dead, err := table.IsDead(ctx, path)
	if err != nil {
		return false, err
	}
	if dead {
		return false, table.Unmount(ctx, path)
	}
	if !t.Shows(row) || row.ReadOnly != t.ReadOnly {
		return false, fmt.Errorf("%s shows %s already: %w", path, row.Device, volume.ErrConflict)
	}
	return true, nil
}

// MustBeTellable refuses names that would mean something else to a mounter.
func (t Target) MustBeTellable(user string) error {
	for _, word := range append([]string{t.FSID, t.FileSystem, t.Root, user}, t.Monitors...) {
		if word == "" || strings.HasPrefix(word, "-") || strings.ContainsAny(word, ",@=\\ \f\n\r\t\v\x00") {
			return fmt.Errorf("%.128q cannot be told to a client of CephFS: %w", word, volume.ErrInvalid)
		}
	}
	if path.Clean(t.Root) != t.Root || !path.IsAbs(t.Root) {
		return fmt.Errorf("%.128q is not the path of a directory: %w", t.Root, volume.ErrInvalid)
	}
	return nil
}
