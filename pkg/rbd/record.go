package rbd

import (
	"encoding/json"
	"fmt"
	"time"

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

// recordVersion is the version of the records' JSON that this code writes.
const recordVersion = 1

// volumeRecord is the truth about a volume.
type volumeRecord struct {
	Version int `json:"v"`
	progress
	Name     string          `json:"name"`
	Capacity int64           `json:"capacity"`
	ReadOnly bool            `json:"readOnly,omitempty"`
	Block    bool            `json:"block,omitempty"`
	FsType   string          `json:"fsType,omitempty"`
	Share    volume.Share    `json:"share,omitempty"`
	Prefetch volume.Prefetch `json:"prefetch,omitempty"`
	Source   sourceRecord    `json:"source,omitzero"`
	Parent   parentRecord    `json:"parent,omitzero"`
	ImageID  string          `json:"imageID,omitempty"`
	Created  time.Time       `json:"created"`
}

// sourceRecord is a volume.Source as text.
type sourceRecord struct {
	Golden   string `json:"golden,omitempty"`
	Volume   string `json:"volume,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`
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
	Version int `json:"v"`
	progress
	Name    string    `json:"name"`
	Source  string    `json:"source"`
	ImageID string    `json:"imageID"` // of the source's image
	Block   bool      `json:"block,omitempty"`
	FsType  string    `json:"fsType,omitempty"`
	Size    int64     `json:"size,omitempty"`
	Created time.Time `json:"created,omitzero"`
}

// deletedRecord remembers what a renamed image hangs on.
type deletedRecord struct {
	Version int          `json:"v"`
	ImageID string       `json:"imageID"`
	Volume  string       `json:"volume"` // the hash of the volume that it was
	Parent  parentRecord `json:"parent,omitzero"`
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
		ID: id, Name: r.Name, Capacity: r.Capacity, ReadOnly: r.ReadOnly, Block: r.Block,
		FsType: r.FsType, Share: r.Share, Prefetch: r.Prefetch, Source: source, Created: r.Created,
	}, nil
}

func (r snapshotRecord) snapshot(id volume.SnapshotID) (volume.Snapshot, error) {
	source, err := volume.ParseID(r.Source)
	if err != nil {
		return volume.Snapshot{}, fmt.Errorf("record of snapshot %s: %w", id, err)
	}
	return volume.Snapshot{ID: id, Name: r.Name, Source: source, Size: r.Size, Created: r.Created}, nil
}
