package scene

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
)

// Scene is what was made in Ceph for the inside to use.
type Scene struct {
	// Policy is the text of a policy file for a node: no key in it.
	Policy string
	// Users are cephx users and their keys, by what they may do.
	Users map[string]User
	// Volumes are the IDs of volumes, by what they are there for.
	Volumes map[string]string
	// Records are the volumes' records, by record name, as the tenant's
	// read-only key reads them.
	Records map[string]rbd.Reading
	// Golden is the image that the volume Function is a clone of.
	Golden Golden
	// CephFS is the same golden and other volumes as files.
	CephFS Files
	// Files are the digests (sha256, hex) of the goldens' files, by path.
	Files map[string]string
}

// User is a cephx user. Its key is in the clear, which a test's may be.
type User struct{ Name, Key string }

// Golden is a golden's image and its snapshot.
type Golden struct {
	Image      string
	Snapshot   string
	ImageID    string
	SnapshotID uint64
}

// The users of a scene.
const (
	Reader   = "reader"   // reads the tenant's images
	Writer   = "writer"   // writes them
	Stranger = "stranger" // reads and writes another tenant's
)

// The volumes of a scene.
const (
	Function = "function" // read-only, a clone of the golden
	Journal  = "journal"  // read-only, a clone of an ext4 golden
	SharedA  = "shared-a" // read-only, to be shown by the golden's own mapping
	SharedB  = "shared-b" // another one of the same golden
	Copy     = "copy"     // writable, a larger clone of an ext4 golden
	Ext4     = "ext4"     // blank
	XFS      = "xfs"      // blank
	Block    = "block"    // blank
	Locked   = "locked"   // blank, and another client has its lock
)

// Ask begins a line by which the inside asks the outside for something: one of
// the verbs below and a volume. The answer is one line too: Done, or what
// Ceph said against it.
const (
	Ask = "ask "
	// Grow makes the volume's image Grown bytes large.
	Grow = "grow"
	// Snap takes a snapshot of it, which is removed again.
	Snap = "snap"

	Done  = "done"
	Grown = 128 << 20
)

// Write writes s to a file that only its owner can read.
func (s Scene) Write(path string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the scene: %w", err)
	}
	return os.WriteFile(path, data, 0o600)
}

// Read reads what Write wrote.
func Read(path string) (s Scene, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("decode the scene: %w", err)
	}
	return s, nil
}
