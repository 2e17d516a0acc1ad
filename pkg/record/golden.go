package record

import (
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Golden is the record of a golden, which pkg/golden keeps and which nodes read
// that show a golden without a volume.
type Golden struct {
	Head
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

// Backend returns the storage that has the golden.
func (r Golden) Backend() volume.Backend { return volume.Golden{FsType: r.FsType}.Backend() }

// Describe returns what the record says of a golden of that tenant, for callers.
func (r Golden) Describe(tenant string) (volume.Golden, error) {
	ref, err := volume.ParseGoldenRef(r.Golden)
	if err != nil {
		return volume.Golden{}, fmt.Errorf("record of a golden of tenant %s: %w", tenant, err)
	}
	ref.Tenant = tenant
	return volume.Golden{
		Ref: ref, State: r.State, FsType: r.FsType, Size: r.Size, DataBytes: r.DataBytes, Digest: r.Digest,
		ImageID: r.ImageID, SnapshotID: r.SnapshotID, Source: r.Source, Created: r.Created,
	}, nil
}
