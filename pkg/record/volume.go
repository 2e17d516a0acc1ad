package record

import (
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Volume is what the record of a volume has in every backend.
type Volume struct {
	Progress
	Name     string          `json:"name"`
	Capacity int64           `json:"capacity"`
	ReadOnly bool            `json:"readOnly,omitempty"`
	Share    volume.Share    `json:"share,omitempty"`
	Prefetch volume.Prefetch `json:"prefetch,omitempty"`
	Source   Source          `json:"source,omitzero"`
	Created  time.Time       `json:"created"`
}

// NewVolume begins to make a volume.
func NewVolume(spec volume.Spec, capacity int64, now time.Time) Volume {
	return Volume{
		Progress: Begin(Creating), Name: spec.Name, Capacity: capacity, ReadOnly: spec.ReadOnly,
		Share: spec.Share, Prefetch: spec.Prefetch, Source: NewSource(spec.Source), Created: second(now),
	}
}

// second is a time as records have it.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Describe returns what the record says, for callers.
func (v Volume) Describe(id volume.ID) (volume.Volume, error) {
	source, err := v.Source.Parse()
	if err != nil {
		return volume.Volume{}, fmt.Errorf("record of volume %s: %w", id, err)
	}
	return volume.Volume{
		ID: id, Name: v.Name, Capacity: v.Capacity, ReadOnly: v.ReadOnly,
		Share: v.Share, Prefetch: v.Prefetch, Source: source, Created: v.Created,
	}, nil
}

// Grown returns the capacity of the volume of id after it is expanded to size:
// the one it has where that is enough. A read-only volume has the size of its
// source; it wraps volume.ErrInvalid.
func (v Volume) Grown(id volume.ID, size volume.Size) (int64, error) {
	capacity, err := size.Fit(v.Capacity)
	if err == nil && capacity != v.Capacity && v.ReadOnly {
		err = fmt.Errorf("volume %s is read-only: it has the size of its source and cannot be expanded: %w", id, volume.ErrInvalid)
	}
	return capacity, err
}

// Snapshot is what the record of a snapshot has in every backend.
type Snapshot struct {
	Progress
	Name    string    `json:"name"`
	Source  string    `json:"source"` // the volume's ID
	Created time.Time `json:"created,omitzero"`
}

// NewSnapshot begins to take a snapshot.
func NewSnapshot(name string, source volume.ID) Snapshot {
	return Snapshot{Progress: Begin(Creating), Name: name, Source: source.String()}
}

// Of returns the volume that the snapshot of id is of.
func (s Snapshot) Of(id volume.SnapshotID) (volume.ID, error) {
	source, err := volume.ParseID(s.Source)
	if err != nil {
		return volume.ID{}, fmt.Errorf("record of snapshot %s: %w", id, err)
	}
	return source, nil
}

// Describe returns what the record says of a snapshot of size bytes.
func (s Snapshot) Describe(id volume.SnapshotID, size int64) (volume.Snapshot, error) {
	source, err := s.Of(id)
	if err != nil {
		return volume.Snapshot{}, err
	}
	return volume.Snapshot{ID: id, Name: s.Name, Source: source, Size: size, Created: s.Created}, nil
}

// Source is a volume.Source as text.
type Source struct {
	Golden   string `json:"golden,omitempty"`
	Volume   string `json:"volume,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`
}

// NewSource writes a source down.
func NewSource(s volume.Source) Source {
	switch {
	case s.IsGolden():
		return Source{Golden: s.Golden.String()}
	case s.IsVolume():
		return Source{Volume: s.Volume.String()}
	case s.IsSnapshot():
		return Source{Snapshot: s.Snapshot.String()}
	}
	return Source{}
}

// IsZero says that the volume was blank.
func (r Source) IsZero() bool { return r == Source{} }

// Parse reads it.
func (r Source) Parse() (s volume.Source, err error) {
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
