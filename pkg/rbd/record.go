package rbd

import (
	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The prefixes of names in a tenant's namespace. A volume's image and record
// share a name, so do a snapshot and its record.
const (
	volumePrefix   = "vol."
	snapshotPrefix = "snap."
	// deletedPrefix and the image's id name an image whose volume is gone
	// while snapshots or clones still need it, and the record of its parent.
	deletedPrefix = "del."
	// copyPrefix names the short-lived snapshot that a volume is copied from.
	copyPrefix = "copy."
)

// volumeRecord is the truth about a volume.
type volumeRecord struct {
	record.Volume
	Block   bool         `json:"block,omitempty"`
	FsType  string       `json:"fsType,omitempty"`
	Parent  parentRecord `json:"parent,omitzero"`
	ImageID string       `json:"imageID,omitempty"`
}

// parentRecord is the image that a clone hangs on.
type parentRecord struct {
	Tenant   string `json:"tenant"`
	ImageID  string `json:"imageID"`
	Snapshot string `json:"snapshot"`
	// SnapshotID is set for a sealed golden only.
	SnapshotID uint64 `json:"snapshotID,omitempty"`
	Size       int64  `json:"size"` // bytes
	// Golden is the golden's image name; empty where the parent is a volume.
	Golden string `json:"golden,omitempty"`
	// Volume is the hash of the volume whose image it is or was.
	Volume string `json:"volume,omitempty"`
}

// String names the parent for messages.
func (r parentRecord) String() string {
	if r.Golden != "" {
		return r.Tenant + "/" + r.Golden + "@" + r.Snapshot
	}
	return "image " + r.ImageID + "@" + r.Snapshot
}

// snapshotRecord is the truth about a snapshot.
type snapshotRecord struct {
	record.Snapshot
	ImageID string `json:"imageID"` // of the source's image
	Block   bool   `json:"block,omitempty"`
	FsType  string `json:"fsType,omitempty"`
	Size    int64  `json:"size,omitempty"`
}

// deletedRecord remembers what a renamed image hangs on.
type deletedRecord struct {
	record.Head
	ImageID string       `json:"imageID"`
	Volume  string       `json:"volume"` // the hash of the volume that it was
	Parent  parentRecord `json:"parent,omitzero"`
}

func (r volumeRecord) volume(id volume.ID) (volume.Volume, error) {
	v, err := r.Describe(id)
	v.Block, v.FsType = r.Block, r.FsType
	return v, err
}

func (r snapshotRecord) snapshot(id volume.SnapshotID) (volume.Snapshot, error) {
	return r.Describe(id, r.Size)
}
