package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Backend is the kind of storage behind a volume.
type Backend string

// The backends.
const (
	RBD    Backend = "rbd"
	CephFS Backend = "cephfs"
)

const (
	volumePrefix   = "sdp1"
	snapshotPrefix = "sdp1s"

	hashLength = 32

	// MaxClusterName and MaxTenantName bound the parts of an ID so that the
	// whole stays below the 128 bytes that CSI guarantees.
	MaxClusterName = 16
	// MaxTenantName is the tenant's part of that.
	MaxTenantName = 32

	// MaxID is what CSI allows for an ID, in bytes.
	MaxID = 128
)

// ID names a volume. Its text form is
//
//	sdp1.<backend>.<cluster>.<tenant>.<32 hex of sha256(CSI name)>
//
// and is a function of the request alone, so a retry finds the same image and
// create and delete take the same lock. The zero ID is no volume.
type ID struct {
	Backend Backend
	Cluster string
	Tenant  string
	Hash    string
}

// SnapshotID names a snapshot: the form of ID with the prefix sdp1s, hashed
// from the snapshot's CSI name.
type SnapshotID ID

// NewID returns the ID of the volume that a CO calls name.
func NewID(b Backend, cluster, tenant, name string) ID {
	return ID{Backend: b, Cluster: cluster, Tenant: tenant, Hash: Hash(name)}
}

// NewSnapshotID returns the ID of the snapshot that a CO calls name.
func NewSnapshotID(b Backend, cluster, tenant, name string) SnapshotID {
	return SnapshotID(NewID(b, cluster, tenant, name))
}

// Hash returns the 32 hex digits that stand for a CSI name in an ID.
func Hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])[:hashLength]
}

// String returns the text form that a CO stores as volume_id.
func (id ID) String() string { return id.text(volumePrefix) }

// String returns the text form that a CO stores as snapshot_id.
func (id SnapshotID) String() string { return ID(id).text(snapshotPrefix) }

// IsZero says that id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) text(prefix string) string {
	return strings.Join([]string{prefix, string(id.Backend), id.Cluster, id.Tenant, id.Hash}, ".")
}

// ParseID reads the text form of a volume ID. An ID that this driver did not
// mint wraps ErrNotFound: no such volume can exist; an empty one ErrInvalid.
func ParseID(s string) (ID, error) {
	return parse("volume", volumePrefix, s)
}

// ParseSnapshotID is ParseID for snapshots.
func ParseSnapshotID(s string) (SnapshotID, error) {
	id, err := parse("snapshot", snapshotPrefix, s)
	return SnapshotID(id), err
}

func parse(what, prefix, s string) (ID, error) {
	if s == "" {
		return ID{}, fmt.Errorf("%s ID is missing: %w", what, ErrInvalid)
	}
	id, ok := split(prefix, s)
	if !ok || !id.wellFormed() {
		return ID{}, fmt.Errorf("%s %.128q was not made by this driver: %w", what, s, ErrNotFound)
	}
	return id, nil
}

func split(prefix, s string) (id ID, ok bool) {
	if len(s) > MaxID {
		return ID{}, false
	}
	parts := strings.Split(s, ".")
	if len(parts) != 5 || parts[0] != prefix {
		return ID{}, false
	}
	return ID{Backend: Backend(parts[1]), Cluster: parts[2], Tenant: parts[3], Hash: parts[4]}, true
}

func (id ID) wellFormed() bool {
	return (id.Backend == RBD || id.Backend == CephFS) &&
		IsName(id.Cluster, MaxClusterName) && IsName(id.Tenant, MaxTenantName) && isHash(id.Hash)
}

func isHash(s string) bool {
	if len(s) != hashLength {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// IsName says whether s is a cluster's or tenant's name: a DNS label (lower
// case letters, digits and inner hyphens) of at most limit bytes. Nothing
// that has a meaning to Ceph, to a path or to an ID can be in it.
func IsName(s string, limit int) bool {
	if s == "" || len(s) > limit || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
