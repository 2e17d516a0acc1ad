package golden

import (
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// recordPrefix begins the names of goldens' records. A golden's record and
// its image share a name (volume.GoldenRef.Image).
const recordPrefix = "golden."

// goldenRecord is the truth about a golden. It comes before the image and, as a
// tombstone, stays after it.
type goldenRecord struct {
	record.Head
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

// backend returns the storage that has the golden.
func (r goldenRecord) backend() volume.Backend { return volume.Golden{FsType: r.FsType}.Backend() }

// golden returns what the record says, for callers.
func (r goldenRecord) golden(at tenant.Place) (volume.Golden, error) {
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
