package volume

import (
	"fmt"
	"strings"
	"time"
)

// MaxGoldenName and MaxGoldenVersion bound a golden's name in bytes: the
// whole image name (golden.<name>.<version>) stays below Ceph's 96 for
// object name prefixes that the caps of a grant need.
const (
	MaxGoldenName    = 40
	MaxGoldenVersion = 32
)

// GoldenRef names a golden: [tenant/]name:version. A name:version is never
// used again, even after the golden is deleted.
type GoldenRef struct {
	Tenant  string // empty: the tenant of whoever refers to it
	Name    string
	Version string
}

// String returns the form that ParseGoldenRef reads.
func (r GoldenRef) String() string {
	if r.Tenant == "" {
		return r.Name + ":" + r.Version
	}
	return r.Tenant + "/" + r.Name + ":" + r.Version
}

// Image returns the name of the golden's RBD image in its tenant's namespace.
func (r GoldenRef) Image() string { return "golden." + r.Name + "." + r.Version }

// ParseGoldenRef reads name:version or tenant/name:version. Name is a DNS
// label; version may have single dots and underscores inside too. It wraps
// ErrInvalid.
func ParseGoldenRef(s string) (GoldenRef, error) {
	var ref GoldenRef
	rest := s
	if t, r, ok := strings.Cut(s, "/"); ok {
		ref.Tenant, rest = t, r
		if !IsName(t, MaxTenantName) {
			return GoldenRef{}, badGolden(s)
		}
	}
	var ok bool
	ref.Name, ref.Version, ok = strings.Cut(rest, ":")
	if !ok || !IsName(ref.Name, MaxGoldenName) || !isVersion(ref.Version) {
		return GoldenRef{}, badGolden(s)
	}
	return ref, nil
}

func badGolden(s string) error {
	return fmt.Errorf("golden %.128q is not [tenant/]name:version, like resnet50:v1 or public/resnet50:v1 "+
		"(lower case letters, digits and hyphens; a version may have dots and underscores): %w", s, ErrInvalid)
}

// isVersion sees dots and underscores as hyphens: those are inside only, too.
func isVersion(s string) bool {
	return IsName(strings.NewReplacer(".", "-", "_", "-").Replace(s), MaxGoldenVersion) && !strings.Contains(s, "..")
}

// GoldenState is how far a golden is in its life.
type GoldenState string

// A golden goes through these in order and never back.
const (
	// GoldenCreating is being seeded; it cannot be used.
	GoldenCreating GoldenState = "creating"
	// GoldenReady is sealed and can be cloned.
	GoldenReady GoldenState = "ready"
	// GoldenRetired takes no new use; what uses it goes on.
	GoldenRetired GoldenState = "retired"
	// GoldenDeleted is gone; its record stays so that the name is not reused.
	GoldenDeleted GoldenState = "deleted"
)

// SealedSnapshot is the name of the snapshot that seals a golden.
const SealedSnapshot = "sealed"

// FilesType is the file system of goldens that are files in CephFS and no
// image.
const FilesType = "cephfs"

// Golden is a sealed data set as its record tells.
type Golden struct {
	Ref        GoldenRef // with its tenant
	State      GoldenState
	FsType     string // erofs, ext4, or FilesType
	Size       int64  // bytes of the image
	DataBytes  int64  // bytes of the file system in it
	Digest     string // sha256:<hex> of the first DataBytes bytes
	ImageID    string // Ceph's id of the image, or the directory of the files
	SnapshotID uint64 // Ceph's id of the snapshot `sealed`
	Source     string // what it was made of, in words for people
	Created    time.Time
}

// Backend returns the storage that has the golden. A tenant's goldens have
// their names in common, so a name:version is in one backend only.
func (g Golden) Backend() Backend {
	if g.FsType == FilesType {
		return CephFS
	}
	return RBD
}

// Usable says whether new uses of the golden may begin: it wraps ErrNotFound
// where it is not sealed or is retired, and says which.
func (g Golden) Usable() error {
	switch g.State {
	case GoldenReady:
		return nil
	case GoldenCreating:
		return fmt.Errorf("golden %s is not sealed: wait for its import to end, or run `sdpctl golden import` again if it was interrupted: %w", g.Ref, ErrNotFound)
	}
	return fmt.Errorf("golden %s is %s: use another version: %w", g.Ref, g.State, ErrNotFound)
}
