package scene

// Files is what was made in a CephFS for the inside to use, for the tenant of
// the scene.
type Files struct {
	FSID    string
	Golden  string            // [tenant/]name:version
	Users   map[string]User   // Reader, Writer, GoldenReader; Stranger has a wrong key
	Volumes map[string]string // IDs, by what they are there for
	Records map[string][]byte // by record name
	// Writers are the users of single volumes, by the subvolume.
	Writers map[string]User
}

// GoldenReader reads one golden.
const GoldenReader = "golden-reader"

// Own is a volume that shares no mount, Written a writable one.
const (
	Own     = "own"
	Written = "written"
)
