package volume

import "strings"

// Stage is what NodeStageVolume was asked for.
type Stage struct {
	ID          ID
	Path        string // the staging directory, which the CO made
	Block       bool
	FsType      string // empty: the volume's own
	ReadOnly    bool   // the access mode is a reader's
	Options     []string
	Credentials Credentials // the request's; what they may read is the proof of access
	// Writer is the request's writing key where the tenant's nodes have one;
	// zero otherwise.
	Writer Credentials
	// Goldens are the keys of single goldens' readers that came with the
	// request.
	Goldens map[GoldenRef]Credentials
}

// StagedDevice is the file in a block volume's staging directory over which
// its device is bound.
const StagedDevice = "device"

// Publication is what NodePublishVolume was asked for.
type Publication struct {
	ID       ID
	Staging  string
	Target   string // made by the driver
	Block    bool
	ReadOnly bool
	// Alone says that the access mode lets the volume be published once on
	// this node: no other target may show it.
	Alone bool
}

// Inline is an inline volume: a golden that one pod shows, without a volume
// that anybody made.
type Inline struct {
	Handle      string // the CO's, of this volume of this pod
	Target      string // made by the driver
	Tenant      string // of the pod
	Golden      GoldenRef
	FsType      string // empty: the golden's own
	Options     []string
	Credentials Credentials               // of the pod's tenant
	Goldens     map[GoldenRef]Credentials // of goldens' readers
}

// InlineShown begins what the mount table tells of the inline volume that a CO
// calls handle, a word without colons.
func InlineShown(handle string) string { return inlineMark + handle + ":" }

const inlineMark = "inline:"

// tenantMark parts the pod's tenant, for whom the volume counts, from the
// golden. Neither's name has it.
const tenantMark = "@"

// IsInlineShown says whether the mount table tells so of an inline volume.
func IsInlineShown(s string) bool { return strings.HasPrefix(s, inlineMark) }

// String returns what the mount table tells of the volume. No volume's ID is
// like it.
func (i Inline) String() string { return i.shown() + tenantMark + i.Tenant }

// IsShown says whether the mount table tells so of the volume, whatever tenant
// it tells: drivers that did not count told none, and the policy may have changed.
func (i Inline) IsShown(s string) bool {
	what, _, _ := strings.Cut(s, tenantMark)
	return what == i.shown()
}

func (i Inline) shown() string { return InlineShown(i.Handle) + i.Golden.String() }

// InlineOf returns the CO's handle of an inline volume of the tenant's pods of
// which the mount table tells s; ok is false of anything else.
func InlineOf(tenant, s string) (handle string, ok bool) {
	rest, inline := strings.CutPrefix(s, inlineMark)
	rest, of, told := strings.Cut(rest, tenantMark)
	handle, _, _ = strings.Cut(rest, ":")
	return handle, inline && told && of == tenant
}

// Usage is what NodeGetVolumeStats answers.
type Usage struct {
	Block     bool // only Total is known
	Total     int64
	Used      int64
	Available int64
	// Inodes are zero where the file system counts none (EROFS).
	Inodes, InodesUsed, InodesFree int64
}

// Mount is one row of a node's mount table.
type Mount struct {
	Device   string // the block device, or the device file that is bound; Overlay.Shows of an overlay
	FsType   string // empty where a device is bound
	ReadOnly bool
}

// OverlayType is the file system type of overlays in Mount.
const OverlayType = "overlay"

// Overlay is a directory shown at another path, read-only, as a mount with a
// device number of its own.
type Overlay struct {
	Path   string
	Lower  string // a mount
	Inside string // the directory of it that is shown; empty: all
	Shows  string // whatever the mount table is to tell about it, without blanks
}
