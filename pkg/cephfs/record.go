package cephfs

import (
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The prefixes of names. A volume's share of the quota has its record's name
// with sharePrefix before it, for the quota counts all backends.
const (
	volumePrefix   = "vol."
	snapshotPrefix = "snap."
	// deletedPrefix and a subvolume's name name the record of a subvolume
	// whose volume is gone while snapshots still need it.
	deletedPrefix = "del."
	// copyPrefix names the snapshot that is taken of a volume for another one.
	copyPrefix  = "copy."
	sharePrefix = "fs."
)

// fsType is what volumes of this backend say their file system is.
const fsType = "cephfs"

// volumeRecord is the truth about a volume.
type volumeRecord struct {
	record.Volume
	// Parent is the snapshot that a read-only volume shows, or that a
	// writable one is being copied from.
	Parent parentRecord `json:"parent,omitzero"`
	// Subvolume is a writable volume's, a new name for each attempt to make
	// it: what an unanswered call makes late is never taken for a later one's.
	Subvolume string `json:"subvolume,omitempty"`
	Directory string `json:"directory,omitempty"` // of its content
}

// parentRecord is a snapshot and how much is in it.
type parentRecord struct {
	Snapshot
	Size int64 `json:"size"`
}

// isCopy says that the snapshot was taken for volumes and goes with them.
func (r parentRecord) isCopy() bool { return strings.HasPrefix(r.Name, copyPrefix) }

func (r parentRecord) isZero() bool { return r == parentRecord{} }

// snapshotRecord is the truth about a snapshot. One of a read-only volume is
// another reference to what that volume shows.
type snapshotRecord struct {
	record.Snapshot
	Parent parentRecord `json:"parent"`
}

// isReference says that the snapshot is not one of a volume's own subvolume.
func (r snapshotRecord) isReference() bool { return !strings.HasPrefix(r.Parent.Name, snapshotPrefix) }

// deletedRecord remembers a subvolume that only snapshots need.
type deletedRecord struct {
	record.Head
	Subvolume string `json:"subvolume"`
}

// check refuses names that this driver did not give. Who stole a tenant's
// writing key can write its records; the controller, which reads them, has
// rights on everything.
func (r volumeRecord) check(id volume.ID) error {
	if r.Subvolume != "" && !isSubvolumeOf(r.Subvolume, id.Hash) || !isPart(r.Directory) || !r.Parent.isWellFormed() {
		return fmt.Errorf("record of volume %s: it names what is not the volume's: %w", id, volume.ErrDenied)
	}
	return nil
}

func (r snapshotRecord) check(id volume.SnapshotID) error {
	if !r.Parent.isWellFormed() || !r.isReference() && (r.Parent.Tenant != id.Tenant || !isNameOf(r.Parent.Name, snapshotPrefix, id.Hash)) {
		return fmt.Errorf("record of snapshot %s: it names what is not the snapshot's: %w", id, volume.ErrDenied)
	}
	return nil
}

func (r parentRecord) isWellFormed() bool {
	return r.isZero() || volume.IsName(r.Tenant, volume.MaxTenantName) &&
		(strings.HasPrefix(r.Subvolume, volumePrefix) || strings.HasPrefix(r.Subvolume, "golden.")) &&
		isPart(r.Subvolume) && isPart(r.Directory) && isPart(r.Name)
}

// isPart says that s can be one part of a path and of a name of Ceph.
func isPart(s string) bool {
	return s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/@,;: \"'\t\n\x00")
}

// attemptLength is that of crypto/rand.Text.
const attemptLength = 26

func isSubvolumeOf(name, hash string) bool { return isNameOf(name, volumePrefix, hash) }

// isNameOf says that a name was made for an attempt at the one of hash.
func isNameOf(name, prefix, hash string) bool {
	attempt, ok := strings.CutPrefix(name, prefix+hash+".")
	return ok && len(attempt) == attemptLength && isPart(attempt)
}

func (r volumeRecord) volume(id volume.ID) (volume.Volume, error) {
	v, err := r.Describe(id)
	v.FsType = fsType
	return v, err
}

func (r snapshotRecord) snapshot(id volume.SnapshotID) (volume.Snapshot, error) {
	return r.Describe(id, r.Parent.Size)
}
