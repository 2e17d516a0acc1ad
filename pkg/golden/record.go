package golden

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// recordPrefix begins the names of goldens' records. A golden's record and
// its image share a name (volume.GoldenRef.Image).
const recordPrefix = "golden."

// recordVersion is the version of the record's JSON that this code writes.
const recordVersion = 1

// record is the truth about a golden. It comes before the image and, as a
// tombstone, stays after it.
type record struct {
	Version    int                `json:"v"`
	State      volume.GoldenState `json:"state"`
	Golden     string             `json:"golden"`           // name:version
	FsType     string             `json:"fsType,omitempty"` // and with it the backend
	Size       int64              `json:"size,omitempty"`
	DataBytes  int64              `json:"dataBytes,omitempty"`
	Digest     string             `json:"digest,omitempty"`
	ImageID    string             `json:"imageID,omitempty"`
	SnapshotID uint64             `json:"snapshotID,omitempty"`
	Source     string             `json:"source,omitempty"`
	Created    time.Time          `json:"created"`
	// Leaving is when its deletion was asked for.
	Leaving time.Time `json:"leaving,omitzero"`
	// Attempt tells the imports of one golden apart, so that one whose lock
	// expired while it slept does not seal what a later one writes.
	Attempt string `json:"attempt,omitempty"`
}

func (r record) encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the record of golden %s: %w", r.Golden, err)
	}
	return data, nil
}

// decode reads a record and refuses one that a newer program wrote, because
// what this one does not understand it could destroy.
func decode(name string, data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("record %s is damaged: %w", name, err)
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("record %s has version %d, this program knows %d: upgrade it: %w", name, r.Version, recordVersion, volume.ErrUnsupported)
	}
	return r, nil
}

// backend returns the storage that has the golden.
func (r record) backend() volume.Backend { return volume.Golden{FsType: r.FsType}.Backend() }

// golden returns what the record says, for callers.
func (r record) golden(at tenant.Place) (volume.Golden, error) {
	ref, err := volume.ParseGoldenRef(r.Golden)
	if err != nil {
		return volume.Golden{}, fmt.Errorf("record in %s: %w", at, err)
	}
	ref.Tenant = at.Tenant()
	return volume.Golden{
		Ref: ref, State: r.State, FsType: r.FsType, Size: r.Size, DataBytes: r.DataBytes, Digest: r.Digest,
		ImageID: r.ImageID, SnapshotID: r.SnapshotID, Source: r.Source, Created: r.Created,
	}, nil
}
