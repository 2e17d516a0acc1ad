package cephfs

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

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

// recordVersion is the version of the records' JSON that this code writes.
const recordVersion = 1

// volumeRecord is the truth about a volume.
type volumeRecord struct {
	Version int `json:"v"`
	progress
	Name     string          `json:"name"`
	Capacity int64           `json:"capacity"`
	ReadOnly bool            `json:"readOnly,omitempty"`
	Share    volume.Share    `json:"share,omitempty"`
	Prefetch volume.Prefetch `json:"prefetch,omitempty"`
	Source   sourceRecord    `json:"source,omitzero"`
	// Parent is the snapshot that a read-only volume shows, or that a
	// writable one is being copied from.
	Parent parentRecord `json:"parent,omitzero"`
	// Subvolume is a writable volume's, a new name for each attempt to make
	// it: what an unanswered call makes late is never taken for a later one's.
	Subvolume string    `json:"subvolume,omitempty"`
	Directory string    `json:"directory,omitempty"` // of its content
	Created   time.Time `json:"created"`
}

// parentRecord is a snapshot and how much is in it.
type parentRecord struct {
	Snapshot
	Size int64 `json:"size"`
}

// isCopy says that the snapshot was taken for volumes and goes with them.
func (r parentRecord) isCopy() bool { return strings.HasPrefix(r.Name, copyPrefix) }

func (r parentRecord) isZero() bool { return r == parentRecord{} }

// sourceRecord is a volume.Source as text.
type sourceRecord struct {
	Golden   string `json:"golden,omitempty"`
	Volume   string `json:"volume,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`
}

// snapshotRecord is the truth about a snapshot. One of a read-only volume is
// another reference to what that volume shows.
type snapshotRecord struct {
	Version int `json:"v"`
	progress
	Name    string       `json:"name"`
	Source  string       `json:"source"`
	Parent  parentRecord `json:"parent"`
	Created time.Time    `json:"created,omitzero"`
}

// isReference says that the snapshot is not one of a volume's own subvolume.
func (r snapshotRecord) isReference() bool { return !strings.HasPrefix(r.Parent.Name, snapshotPrefix) }

// deletedRecord remembers a subvolume that only snapshots need.
type deletedRecord struct {
	Version   int    `json:"v"`
	Subvolume string `json:"subvolume"`
}

func encode(record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// decode reads a record and refuses one that a newer driver wrote, because
// what it does not understand it could destroy.
func decode(name string, data []byte, record any) error {
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("record %s is damaged: %w", name, err)
	}
	if head.Version != recordVersion {
		return fmt.Errorf("record %s has version %d, this driver knows %d: upgrade the driver: %w", name, head.Version, recordVersion, volume.ErrUnsupported)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("record %s is damaged: %w", name, err)
	}
	return nil
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
	if !r.Parent.isWellFormed() || !r.isReference() && (r.Parent.Tenant != id.Tenant || r.Parent.Name != snapshotPrefix+id.Hash) {
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

func isSubvolumeOf(name, hash string) bool {
	attempt, ok := strings.CutPrefix(name, volumePrefix+hash+".")
	return ok && len(attempt) == attemptLength && isPart(attempt)
}

func newSource(s volume.Source) sourceRecord {
	switch {
	case s.IsGolden():
		return sourceRecord{Golden: s.Golden.String()}
	case s.IsVolume():
		return sourceRecord{Volume: s.Volume.String()}
	case s.IsSnapshot():
		return sourceRecord{Snapshot: s.Snapshot.String()}
	}
	return sourceRecord{}
}

func (r sourceRecord) source() (s volume.Source, err error) {
	switch {
	case r.Golden != "":
		s.Golden, err = volume.ParseGoldenRef(r.Golden)
	case r.Volume != "":
		s.Volume, err = volume.ParseID(r.Volume)
	case r.Snapshot != "":
		s.Snapshot, err = volume.ParseSnapshotID(r.Snapshot)
	}
	return s, err
}

func (r volumeRecord) volume(id volume.ID) (volume.Volume, error) {
	source, err := r.Source.source()
	if err != nil {
		return volume.Volume{}, fmt.Errorf("record of volume %s: %w", id, err)
	}
	return volume.Volume{
		ID: id, Name: r.Name, Capacity: r.Capacity, ReadOnly: r.ReadOnly,
		FsType: fsType, Share: r.Share, Prefetch: r.Prefetch, Source: source, Created: r.Created,
	}, nil
}

func (r snapshotRecord) snapshot(id volume.SnapshotID) (volume.Snapshot, error) {
	source, err := volume.ParseID(r.Source)
	if err != nil {
		return volume.Snapshot{}, fmt.Errorf("record of snapshot %s: %w", id, err)
	}
	return volume.Snapshot{ID: id, Name: r.Name, Source: source, Size: r.Parent.Size, Created: r.Created}, nil
}
