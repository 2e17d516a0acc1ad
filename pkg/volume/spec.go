package volume

import (
	"fmt"
	"time"
)

// AccessMode is a CSI access mode by its name in the specification,
// e.g. SINGLE_NODE_WRITER.
type AccessMode string

// The access modes that this driver serves (CSI spec, VolumeCapability).
const (
	SingleNodeWriter       AccessMode = "SINGLE_NODE_WRITER"
	SingleNodeSingleWriter AccessMode = "SINGLE_NODE_SINGLE_WRITER"
	SingleNodeMultiWriter  AccessMode = "SINGLE_NODE_MULTI_WRITER"
	SingleNodeReaderOnly   AccessMode = "SINGLE_NODE_READER_ONLY"
	MultiNodeReaderOnly    AccessMode = "MULTI_NODE_READER_ONLY"
	MultiNodeMultiWriter   AccessMode = "MULTI_NODE_MULTI_WRITER"
)

// ReadOnly says whether nobody may write through this mode.
func (m AccessMode) ReadOnly() bool {
	return m == SingleNodeReaderOnly || m == MultiNodeReaderOnly
}

// Alone says whether the mode lets a volume be published once on its node
// (CSI spec, NodePublishVolume, the table for SINGLE_NODE_MULTI_WRITER).
func (m AccessMode) Alone() bool {
	return m == SingleNodeWriter || m == SingleNodeSingleWriter || m == SingleNodeReaderOnly
}

// Share says how a read-only volume gets its device on a node.
type Share string

// The values of the class parameter `share`.
const (
	ShareNode  Share = "node"  // one device per golden and node
	ShareClone Share = "clone" // a device of its own
)

// Prefetch says what of a shared golden is read into a node's page cache while
// the function starts.
type Prefetch string

// The values of the class parameter `prefetch`.
const (
	PrefetchNone     Prefetch = "none"
	PrefetchMetadata Prefetch = "metadata" // the beginning of each file
	PrefetchAll      Prefetch = "all"
)

// Size is what a CO asks for, in bytes; 0 means no wish.
type Size struct {
	Required int64
	Limit    int64
}

// DefaultSize is the size of a blank volume when the CO names none.
const DefaultSize int64 = 1 << 30

// MaxSize bounds a volume: 1 PiB. It keeps arithmetic on sizes from
// overflowing and a typing error from making a giant object map.
const MaxSize int64 = 1 << 50

// Check refuses sizes that no volume can have. It wraps ErrOutOfRange.
func (s Size) Check() error {
	switch {
	case s.Required < 0 || s.Limit < 0:
		return fmt.Errorf("capacity range has a negative size (required %d, limit %d): %w", s.Required, s.Limit, ErrOutOfRange)
	case s.Limit > 0 && s.Required > s.Limit:
		return fmt.Errorf("capacity range requires %d bytes but limits to %d: %w", s.Required, s.Limit, ErrOutOfRange)
	case s.Required > MaxSize:
		return fmt.Errorf("capacity of %d bytes is over the largest volume, %d: %w", s.Required, MaxSize, ErrOutOfRange)
	}
	return nil
}

// MinSize bounds a volume from below, and images are whole multiples of it:
// 1 MiB.
const MinSize int64 = 1 << 20

// Fit returns the bytes of a volume whose source has least bytes (0: none):
// what is required or the source's size, whichever is more, in whole MiB.
// Without a wish and a source it is DefaultSize, or what the limit leaves of
// it. It wraps ErrOutOfRange.
func (s Size) Fit(least int64) (int64, error) {
	if err := s.Check(); err != nil {
		return 0, err
	}
	want := max(s.Required, least)
	if want == 0 {
		want = s.byDefault()
	}
	if s.Limit > 0 && least > s.Limit {
		return 0, fmt.Errorf("the source has %d bytes, over the limit of %d: raise the limit: %w", least, s.Limit, ErrOutOfRange)
	}
	rounded := (want + MinSize - 1) / MinSize * MinSize
	if s.Limit > 0 && rounded > s.Limit {
		return 0, fmt.Errorf("the limit of %d bytes is below %d, the next whole MiB over what is needed: raise the limit: %w", s.Limit, rounded, ErrOutOfRange)
	}
	return rounded, nil
}

func (s Size) byDefault() int64 {
	if s.Limit == 0 || s.Limit >= DefaultSize {
		return DefaultSize
	}
	return max(MinSize, s.Limit/MinSize*MinSize)
}

// Allows says whether an existing volume of capacity bytes satisfies s.
func (s Size) Allows(capacity int64) bool {
	return capacity >= s.Required && (s.Limit == 0 || capacity <= s.Limit)
}

// Source is what a new volume starts from; at most one field is set.
type Source struct {
	Golden   GoldenRef
	Volume   ID
	Snapshot SnapshotID
}

// IsZero says that the volume is blank.
func (s Source) IsZero() bool { return s == Source{} }

// IsGolden says that the source is a golden.
func (s Source) IsGolden() bool { return s.Golden != GoldenRef{} }

// IsVolume says that the source is a volume.
func (s Source) IsVolume() bool { return s.Volume != ID{} }

// IsSnapshot says that the source is a snapshot.
func (s Source) IsSnapshot() bool { return s.Snapshot != SnapshotID{} }

// String names the source for messages.
func (s Source) String() string {
	switch {
	case s.IsGolden():
		return "golden " + s.Golden.String()
	case s.IsVolume():
		return "volume " + s.Volume.String()
	case s.IsSnapshot():
		return "snapshot " + s.Snapshot.String()
	}
	return "nothing"
}

// Spec is what CreateVolume was asked for.
type Spec struct {
	Name     string // the CO's name, for records and messages
	Size     Size
	ReadOnly bool   // every access mode is a reader's
	Block    bool   // a raw block volume
	FsType   string // empty: the source's, or ext4
	Share    Share
	Prefetch Prefetch
	Source   Source
	// AnswerBy is when the caller ends to wait; zero: it did not say. Making
	// the volume may take longer: then the answer is how far that is.
	AnswerBy time.Time
}

// Volume is what exists, as its record tells.
type Volume struct {
	ID       ID
	Name     string
	Capacity int64 // bytes
	ReadOnly bool
	Block    bool
	FsType   string // empty for block
	Share    Share
	Prefetch Prefetch
	Source   Source
	Created  time.Time
}

// Check says whether v is what s asks for, so that a retry of CreateVolume
// may answer with it. It wraps ErrConflict and names the difference.
func (s Spec) Check(v Volume) error {
	switch {
	case s.Source != v.Source:
		return conflict(v, "its source is %s, not %s", v.Source, s.Source)
	case s.ReadOnly != v.ReadOnly:
		return conflict(v, "read-only is %t, not %t", v.ReadOnly, s.ReadOnly)
	case s.Block != v.Block:
		return conflict(v, "block is %t, not %t", v.Block, s.Block)
	case s.FsType != "" && s.FsType != v.FsType:
		return conflict(v, "its file system is %q, not %q", v.FsType, s.FsType)
	case s.Share != v.Share:
		return conflict(v, "share is %q, not %q", v.Share, s.Share)
	case s.Prefetch != v.Prefetch:
		return conflict(v, "prefetch is %q, not %q", v.Prefetch, s.Prefetch)
	case !s.Size.Allows(v.Capacity):
		return conflict(v, "its %d bytes are not within the asked range (required %d, limit %d)", v.Capacity, s.Size.Required, s.Size.Limit)
	}
	return nil
}

func conflict(v Volume, format string, args ...any) error {
	return fmt.Errorf("volume %s: %s: %w", v.ID, fmt.Sprintf(format, args...), ErrConflict)
}

// Snapshot is a snapshot as its record tells.
type Snapshot struct {
	ID      SnapshotID
	Name    string
	Source  ID
	Size    int64 // bytes a volume made from it has at least
	Created time.Time
}
