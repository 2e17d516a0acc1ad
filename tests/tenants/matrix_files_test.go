package tenants

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	libcephfs "github.com/ceph/go-ceph/cephfs"
	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// fileThief has one key and tries what it opens in CephFS.
type fileThief struct {
	*filesScene
	*client
}

// tree is whose files the thief tries.
type tree struct {
	name, owner string
	subvolume   string // without the owner
	directory   string // of the content
	snapshot    string
	inode       uint64 // of the file `model` in the content
	record      string
}

func (tr tree) root() string    { return cephfs.Root(tr.owner, tr.subvolume) }
func (tr tree) content() string { return path.Join(tr.root(), tr.directory) }
func (tr tree) space() string   { return "fsvolumens_" + tr.owner + "." + tr.subvolume }
func (tr tree) object() string  { return fmt.Sprintf("%x.00000000", tr.inode) }

// fileRoles are the keys: A's reader and writer, the granted golden's reader,
// the user of A's volume, and the controller, which shows that each operation
// is one that can be done.
var fileRoles = []string{"ro", "rw", "golden", "volume", "controller"}

// fileOperation is a row of the matrix. can has the columns own, B, granted,
// not granted of each role but the controller, which can do everything.
type fileOperation struct {
	name string
	try  func(fileThief, tree) error
	can  map[string][4]bool
}

func byFileRole(ro, rw, golden, volume [4]bool) map[string][4]bool {
	return map[string][4]bool{"ro": ro, "rw": rw, "golden": golden, "volume": volume, "controller": {true, true, true, true}}
}

func fileOperations() []fileOperation {
	onlyGranted := [4]bool{false, false, true}
	shown := byFileRole(shownToA, shownToA, onlyGranted, own)    // of the content
	whole := byFileRole(shownToA, shownToA, onlyGranted, nobody) // of the subvolume
	written := byFileRole(nobody, nobody, nobody, own)           // of the content
	controller := byFileRole(nobody, nobody, nobody, nobody)     // nobody else
	tenants := byFileRole(own, own, nobody, nobody)              // of what is the tenant's
	secret, records := byFileRole(nobody, own, nobody, nobody), byFileRole(nobody, own, nobody, nobody)
	return []fileOperation{
		{"list data objects", fileThief.listData, shown},
		{"read a data object", fileThief.readData, shown},
		{"write a data object", fileThief.writeData, written},
		{"mount the tenant's directory", fileThief.mountGroup, tenants},
		{"mount the subvolume", fileThief.mountSubvolume, whole},
		{"mount the content", fileThief.mountContent, shown},
		{"read a file", fileThief.readFile, shown},
		{"read a file of the snapshot", fileThief.readSnapshot, whole},
		{"write a file", fileThief.writeFile, written},
		{"make a link beside the content", fileThief.linkAbove, controller},
		{"take a snapshot", fileThief.takeSnapshot, controller},
		{"remove the snapshot", fileThief.removeSnapshot, controller},
		{"lift the quota", fileThief.liftQuota, controller},
		{"lead data into B's namespace", fileThief.leadAway, controller},
		{"read the key of a volume", fileThief.readKey, secret},
		{"write the key of a volume", fileThief.writeKey, controller},
		// A golden's reader reads its record by the beginning of the name.
		{"read the record", fileThief.readFileRecord, byFileRole(own, own, [4]bool{false, false, true, true}, nobody)},
		{"write a record", fileThief.writeFileRecord, records},
		{"write a lease", fileThief.writeFileLease, byFileRole(own, own, onlyGranted, nobody)},
	}
}

// TestFilesMatrix is TestMatrix for CephFS.
func TestFilesMatrix(t *testing.T) {
	s := newFilesScene(t)
	targets, roles := s.trees()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tOPERATION\tOWN\tB\tGRANTED\tNOT GRANTED")
	for _, role := range fileRoles {
		k := fileThief{s, &client{conn: roles[role]}}
		for _, op := range fileOperations() {
			cells := []string{role, op.name}
			for i, tr := range targets {
				cells = append(cells, check(t, role+" "+op.name+" "+tr.name, op.try(k, tr), op.can[role][i]))
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		for _, op := range wholeOperations() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", role, op.name, check(t, role+" "+op.name, op.try(k), role == "controller" || role == op.role))
		}
		k.close()
	}
	must(t, w.Flush())
	t.Logf("what A's keys can do in CephFS:\n%s", table.String())
}

// trees makes a written volume of A and one of B, each with a snapshot, and two
// goldens, of which the policy grants one; and it returns the connections of
// those who try them.
func (s *filesScene) trees() (targets [4]tree, roles map[string]*rados.Conn) {
	s.t.Helper()
	v1, v10 := s.seed(s.public, granted), s.seed(s.public, private)
	mine, theirs := s.volume(s.a, "own", volume.GoldenRef{}), s.volume(s.b, "theirs", volume.GoldenRef{})
	targets = [4]tree{
		s.written("own", mine), s.written("B", theirs), s.golden("granted", v1), s.golden("not granted", v10),
	}
	s.ceph.Rados("-p", s.place(s.a).Pool(), "-N", "sdp.users", "create", "requests")
	keys := s.keys(s.a)
	if len(keys.Goldens) != 1 {
		s.t.Fatalf("A has the keys of %d goldens, one is granted", len(keys.Goldens))
	}
	admin := volume.Credentials{User: "admin", Key: volume.Secret(s.ceph.AdminKey())}
	roles = map[string]*rados.Conn{}
	for role, c := range map[string]volume.Credentials{
		"ro": keys.Reader, "rw": *keys.Writer, "golden": keys.Goldens[v1], "volume": s.writer(mine), "controller": admin,
	} {
		roles[role] = s.session(c)
	}
	c := &client{conn: roles["controller"]}
	defer c.close()
	for i := range targets {
		m, err := c.mount(targets[i].content())
		must(s.t, err)
		st, err := m.Statx("/model", libcephfs.StatxBasicStats, 0)
		must(s.t, err)
		targets[i].inode = uint64(st.Inode)
	}
	return targets, roles
}

func (s *filesScene) written(name string, id volume.ID) tree {
	s.t.Helper()
	s.write(id, "model", strings.Repeat(name+"\n", 1<<10))
	at := s.place(id.Tenant)
	snap := at.SnapshotID(volume.CephFS, name)
	s.patiently(func() error {
		_, err := s.provisioner.CreateSnapshot(s.t.Context(), at, snap, name, id)
		return err
	})
	// A snapshot that is shown has a reference.
	spec := volume.Spec{Name: "of " + name, ReadOnly: true, Source: volume.Source{Snapshot: snap}}
	s.patiently(func() error {
		_, err := s.provisioner.Create(s.t.Context(), at, tenant.Place{}, at.VolumeID(volume.CephFS, spec.Name), spec)
		return err
	})
	tr := tree{name: name, owner: id.Tenant, record: "sdp.fs.vol." + id.Hash}
	tr.subvolume, tr.directory = s.subvolumeOf(id)
	taken := s.snapshots(id.Tenant, tr.subvolume)
	if len(taken) != 1 {
		s.t.Fatalf("volume %s has the snapshots %q, want one", id, taken)
	}
	tr.snapshot = taken[0]
	return tr
}

func (s *filesScene) golden(name string, ref volume.GoldenRef) tree {
	s.t.Helper()
	tr := tree{name: name, owner: ref.Tenant, subvolume: ref.Image(), snapshot: volume.SealedSnapshot, record: "sdp." + ref.Image()}
	var err error
	tr.directory, err = s.files.ImageID(s.t.Context(), s.place(ref.Tenant), ref.Image())
	must(s.t, err)
	return tr
}

// wholeOperations are about the file system as a whole. role can do them
// beside the controller.
func wholeOperations() []struct {
	name string
	try  func(fileThief) error
	role string
} {
	type row = struct {
		name string
		try  func(fileThief) error
		role string
	}
	monitor := func(command map[string]any) func(fileThief) error {
		return func(k fileThief) error {
			text, _ := json.Marshal(command)
			_, _, err := k.conn.MonCommand(text)
			return err
		}
	}
	return []row{
		{"mount the root", fileThief.mountRoot, ""},
		{"mount all tenants' directory", fileThief.mountGroups, ""},
		{"list the references", fileThief.listReferences, ""},
		{"write a reference", fileThief.writeReference, ""},
		{"list objects of the metadata", fileThief.listMetadata, ""},
		{"list data objects of no namespace", fileThief.listPlainData, ""},
		{"list the servers' sessions", fileThief.listSessions, ""},
		{"list subvolumes by the manager", fileThief.askManager, ""},
		{"list keys", monitor(map[string]any{"prefix": "auth ls"}), ""},
		{"make a user", fileThief.makeUser, ""},
		{"ask for the user of an own volume", fileThief.askForUser, ""},
		{"ask for the user of B's volume", fileThief.askForTheirs, ""},
		{"answer for who makes users", fileThief.answerRequests, ""},
		{"write where users are asked for", fileThief.writeRequest, ""},
		{"set the file system's limits", monitor(map[string]any{"prefix": "fs set", "fs_name": theFiles, "var": "session_timeout", "val": "60"}), ""},
		{"blocklist one client", monitor(map[string]any{"prefix": "osd blocklist", "blocklistop": "add", "addr": "192.0.2.1:0/1", "expire": json.Number("1.0")}), "rw"},
	}
}

// isThere says that an operation which found nothing shows nothing.
func isThere(found int, err error) error {
	if err == nil && found == 0 {
		return errors.New("nothing is there")
	}
	return err
}

// notYet lets an operation that the servers let through count as allowed
// although it cannot be done to this target.
func notYet(err error, numbers ...syscall.Errno) error {
	var coded interface{ ErrorCode() int }
	for _, n := range numbers {
		if errors.As(err, &coded) && coded.ErrorCode() == -int(n) {
			return nil
		}
	}
	return err
}
