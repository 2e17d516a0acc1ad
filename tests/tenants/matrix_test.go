package tenants

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// thief has one key of A and tries what it opens.
type thief struct {
	*scene
	as   volume.Credentials
	conn *rados.Conn
}

// target is whose data the thief tries. shown is what A's nodes map of it: its
// own volume, another tenant's volume, or A's clone of a golden. held is what
// changes would be made to: the volume's or the golden's image.
type target struct {
	name           string
	shownIn, shown string
	heldIn, held   string
	record         string // of held
	headerID       string // Ceph's id of held
}

// operation is a row of the matrix. can says by role and target whether it is
// allowed, in the order of the columns: own, B, granted, not granted.
type operation struct {
	name string
	try  func(thief, target) error
	can  map[string][4]bool // by role
}

var nobody, own, shownToA = [4]bool{}, [4]bool{true}, [4]bool{true, false, true}

// byRole says what A's reader and writer and the granted golden's reader can.
func byRole(ro, rw, golden [4]bool) map[string][4]bool {
	return map[string][4]bool{"ro": ro, "rw": rw, "golden": golden}
}

func operations() []operation {
	directory, published := [4]bool{true, false, true, true}, [4]bool{false, false, true, true}
	return []operation{
		// Who may read one golden of a tenant may read the names of all.
		{"list names", thief.listNames, byRole(directory, directory, published)},
		{"list objects", thief.listObjects, byRole(own, own, nobody)},
		{"stat", thief.stat, byRole(shownToA, shownToA, nobody)},
		{"map", thief.attach, byRole(shownToA, shownToA, nobody)},
		{"read", thief.read, byRole(shownToA, shownToA, nobody)},
		// A golden's reader reads its record by the beginning of the name.
		{"read record", thief.readRecord, byRole(own, own, [4]bool{false, false, true, true})},
		{"map by name", thief.attachHeld, byRole(own, own, [4]bool{false, false, true})},
		{"write", thief.write, byRole(nobody, own, nobody)},
		{"write data object", thief.writeData, byRole(nobody, own, nobody)},
		{"call a writing class method", thief.callClass, byRole(nobody, own, nobody)},
		{"write record", thief.writeRecord, byRole(nobody, own, nobody)},
		// A node notes which goldens it reads. Nothing else can be written so.
		{"write lease", thief.writeLease, byRole(own, own, [4]bool{false, false, true})},
		{"write what is nearly a lease", thief.writeNearLease, byRole(nobody, own, nobody)},
		{"snapshot", thief.snapshot, byRole(nobody, own, nobody)},
		{"clone", thief.clone, byRole(nobody, own, nobody)},
		{"detach a clone", thief.detach, byRole(nobody, own, nobody)},
		{"create", thief.create, byRole(nobody, own, nobody)},
		{"rename", thief.rename, byRole(nobody, own, nobody)},
		{"delete", thief.remove, byRole(nobody, own, nobody)},
	}
}

// cluster-wide operations have no target.
func clusterOperations() []struct {
	name   string
	try    func(thief) error
	writer bool // the writer can, nobody else
} {
	type row = struct {
		name   string
		try    func(thief) error
		writer bool
	}
	monitor := func(command map[string]any) func(thief) error {
		return func(k thief) error {
			text, _ := json.Marshal(command)
			_, _, err := k.conn.MonCommand(text)
			return err
		}
	}
	return []row{
		{"list keys", monitor(map[string]any{"prefix": "auth ls"}), false},
		{"read the admin's key", monitor(map[string]any{"prefix": "auth get", "entity": "client.admin"}), false},
		{"change caps", monitor(map[string]any{"prefix": "auth caps", "entity": "client.admin", "caps": []string{"mon", "allow r"}}), false},
		{"make a pool", monitor(map[string]any{"prefix": "osd pool create", "pool": "stolen"}), false},
		{"read the configuration database", monitor(map[string]any{"prefix": "config-key get", "key": "x"}), false},
		{"manager command", thief.managerCommand, false},
		{"default namespace: read", thief.readDefault, false},
		{"default namespace: write", thief.writeDefault, false},
		{"other pool: read", thief.readOtherPool, false},
		{"make a namespace", thief.makeNamespace, false},
		// Whoever maps for writing must shut a dead holder of the lock out.
		{"blocklist one client", monitor(map[string]any{"prefix": "osd blocklist", "blocklistop": "add", "addr": "192.0.2.1:0/1", "expire": json.Number("1.0")}), true},
	}
}

func TestMatrix(t *testing.T) {
	s := newScene(t)
	targets := s.targets()
	keys := s.keys(s.a)
	if len(keys.Goldens) != 1 {
		t.Fatalf("A has the keys of %d goldens, one is granted", len(keys.Goldens))
	}
	roles := map[string]volume.Credentials{"ro": keys.Reader, "rw": *keys.Writer}
	for _, reader := range keys.Goldens {
		roles["golden"] = reader
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tOPERATION\tOWN\tB\tGRANTED\tNOT GRANTED")
	for _, role := range []string{"ro", "rw", "golden"} {
		k := thief{scene: s, as: roles[role], conn: s.session(roles[role])}
		for _, op := range operations() {
			cells := []string{role, op.name}
			for i, tg := range targets {
				cells = append(cells, check(t, role+" "+op.name+" "+tg.name, op.try(k, tg), op.can[role][i]))
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		for _, op := range clusterOperations() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", role, op.name, check(t, role+" "+op.name, op.try(k), op.writer && role == "rw"))
		}
	}
	must(t, w.Flush())
	t.Logf("what A's keys can do:\n%s", table.String())
}

// check holds a cell to what it should be. Only a refusal by rights counts as
// one: an operation that fails otherwise shows nothing.
func check(t *testing.T, what string, err error, want bool) string {
	t.Helper()
	switch {
	case err == nil && want:
		return "yes"
	case isRefusal(err) && !want:
		return "-"
	case err == nil:
		t.Errorf("%s: allowed, should be refused", what)
		return "YES!"
	case want:
		t.Errorf("%s: %v, should be allowed", what, err)
		return "NO!"
	}
	t.Errorf("%s: %v, should be a refusal", what, err)
	return "?"
}

func isRefusal(err error) bool {
	if errors.Is(err, volume.ErrDenied) {
		return true
	}
	var coded interface{ ErrorCode() int }
	if !errors.As(err, &coded) {
		return false
	}
	code := coded.ErrorCode()
	return code == -int(syscall.EPERM) || code == -int(syscall.EACCES)
}

// targets makes one volume of A, one of B, and A's clones of two goldens, of
// which the policy grants one.
func (s *scene) targets() [4]target {
	s.t.Helper()
	v1, v10 := s.seed(s.public, granted), s.seed(s.public, private)
	mine, theirs := s.volume(s.a, "own", volume.GoldenRef{}), s.volume(s.b, "theirs", volume.GoldenRef{})
	for _, at := range []string{s.a, s.b} {
		s.ceph.RBD("snap", "create", s.place(at).Pool()+"/"+at+"/"+map[string]string{s.a: mine, s.b: theirs}[at]+"@taken")
	}
	all := [4]target{
		{name: "own", shownIn: s.a, shown: mine, heldIn: s.a, held: mine, record: "sdp." + mine},
		{name: "B", shownIn: s.b, shown: theirs, heldIn: s.b, held: theirs, record: "sdp." + theirs},
		{name: "granted", shownIn: s.a, shown: s.volume(s.a, "of granted", v1), heldIn: s.public, held: v1.Image(), record: "sdp." + v1.Image()},
		{name: "not granted", shownIn: s.a, shown: s.volume(s.a, "of private", v10), heldIn: s.public, held: v10.Image(), record: "sdp." + v10.Image()},
	}
	for i := range all {
		id, err := s.cluster.ImageID(s.t.Context(), s.place(all[i].heldIn), all[i].held)
		must(s.t, err)
		all[i].headerID = id
	}
	// A's clone of a golden keeps its rights to read the golden until it is
	// gone. Here it never had any: nobody synchronised since.
	return all
}

func (k thief) listNames(tg target) error {
	found := 0
	err := k.in(k.conn, tg.heldIn).ListOmapValues("rbd_directory", "", "name_", 100, func(string, []byte) { found++ })
	if err == nil && found == 0 {
		return errors.New("there are no names")
	}
	return err
}

func (k thief) listObjects(tg target) error {
	found := 0
	err := k.in(k.conn, tg.heldIn).ListObjects(func(string) { found++ })
	if err == nil && found == 0 {
		return errors.New("there are no objects")
	}
	return err
}

func (k thief) open(tg target, then func(*librbd.Image) error) error {
	i, err := librbd.OpenImageReadOnly(k.in(k.conn, tg.shownIn), tg.shown, librbd.NoSnapshot)
	if err != nil {
		return err
	}
	return errors.Join(then(i), i.Close())
}

func (k thief) stat(tg target) error {
	return k.open(tg, func(i *librbd.Image) error { _, err := i.Stat(); return err })
}

// read reads the image's beginning, which for a golden has content: the
// superblock of EROFS is at 1024.
func (k thief) read(tg target) error {
	return k.open(tg, func(i *librbd.Image) error {
		block := make([]byte, 4096)
		if _, err := i.ReadAt(block, 0); err != nil {
			return err
		}
		if tg.shownIn != tg.heldIn && binary.LittleEndian.Uint32(block[1024:]) != 0xe0f5e1e2 {
			return errors.New("this is not what the golden has")
		}
		return nil
	})
}

// mapping is what the mappers in user space do.
func (k thief) mapping(namespace, image string) error {
	m := rbd.Mapping{Monitors: k.ceph.Monitors(), Pool: k.place(k.a).Pool(), Namespace: namespace, Image: image, ReadOnly: true}
	a, err := ceph.Attach(k.t.Context(), m, k.as)
	if err != nil {
		return err
	}
	return a.Close()
}

func (k thief) attach(tg target) error     { return k.mapping(tg.shownIn, tg.shown) }
func (k thief) attachHeld(tg target) error { return k.mapping(tg.heldIn, tg.held) }

func (k thief) readRecord(tg target) error {
	_, err := k.in(k.conn, tg.heldIn).Read(tg.record, make([]byte, 1024), 0)
	return err
}

func (k thief) writeRecord(tg target) error {
	return k.in(k.conn, tg.heldIn).Write("sdp.vol.stolen", []byte("{}"), 0)
}

func (k thief) writeLease(tg target) error {
	return k.in(k.conn, tg.heldIn).SetOmap("sdp.lease."+tg.headerID+".nodes", map[string][]byte{"thief": []byte("2030-01-01T00:00:00Z")})
}

// writeNearLease writes objects whose names are a little shorter or other than
// a lease's.
func (k thief) writeNearLease(tg target) error {
	var all []error
	for _, name := range []string{"sdp.lease", "sdp.lease-" + tg.headerID + ".nodes", "sdp." + tg.headerID} {
		all = append(all, k.in(k.conn, tg.heldIn).Write(name, []byte("x"), 0))
	}
	if i := slices.IndexFunc(all, func(err error) bool { return !isRefusal(err) }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// change opens what is held for writing.
func (k thief) change(tg target, then func(*librbd.Image) error) error {
	i, err := librbd.OpenImage(k.in(k.conn, tg.heldIn), tg.held, librbd.NoSnapshot)
	if err != nil {
		return err
	}
	return errors.Join(then(i), i.Close())
}

func (k thief) write(tg target) error {
	return k.change(tg, func(i *librbd.Image) error { _, err := i.WriteAt([]byte("stolen"), 0); return err })
}

func (k thief) snapshot(tg target) error {
	return k.change(tg, func(i *librbd.Image) error { _, err := i.CreateSnapshot("stolen"); return err })
}

func (k thief) writeData(tg target) error {
	return k.in(k.conn, tg.heldIn).Write("rbd_data."+tg.headerID+".0000000000000001", []byte("stolen"), 0)
}

// callClass calls a method that writes, by a read operation: that needs no w.
func (k thief) callClass(tg target) error {
	return k.exec(tg, "metadata_set", object("stolen", "x"))
}

// detach tells the image's header that a clone does not need a snapshot any
// more. That this clone does not exist is found out after the rights.
func (k thief) detach(tg target) error {
	in := binary.LittleEndian.AppendUint64(nil, 1<<40)
	in = append(in, 1, 1, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(in[len(in)-4:], 0)
	err := k.exec(tg, "child_detach", in)
	if isRefusal(err) {
		return err
	}
	return nil
}

func (k thief) exec(tg target, method string, in []byte) error {
	op := rados.CreateWriteOp()
	defer op.Release()
	op.Exec("rbd", method, in)
	return op.Operate(k.in(k.conn, tg.heldIn), "rbd_header."+tg.headerID, rados.OperationNoFlag)
}

// object encodes a map of one string to one buffer, as Ceph does.
func object(key, value string) []byte {
	in := binary.LittleEndian.AppendUint32(nil, 1)
	for _, s := range []string{key, value} {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(s))), s...)
	}
	return in
}

func (k thief) clone(tg target) error {
	options := librbd.NewRbdImageOptions()
	defer options.Destroy()
	must(k.t, options.SetUint64(librbd.ImageOptionCloneFormat, 2))
	snapshot := volume.SealedSnapshot
	if tg.shownIn == tg.heldIn {
		snapshot = "taken"
	}
	return librbd.CloneImage(k.in(k.conn, tg.heldIn), tg.held, snapshot, k.in(k.conn, k.a), "vol.stolen "+tg.name, options)
}

// create makes an image and removes it.
func (k thief) create(tg target) error {
	options := librbd.NewRbdImageOptions()
	defer options.Destroy()
	ioctx := k.in(k.conn, tg.heldIn)
	if err := librbd.CreateImage(ioctx, "vol.made", 4<<20, options); err != nil {
		return err
	}
	return librbd.RemoveImage(ioctx, "vol.made")
}

func (k thief) rename(tg target) error {
	from := librbd.GetImage(k.in(k.conn, tg.heldIn), tg.held)
	if err := from.Rename(tg.held + ".stolen"); err != nil {
		return err
	}
	return librbd.GetImage(k.in(k.conn, tg.heldIn), tg.held+".stolen").Rename(tg.held)
}

// remove removes an image: the clone of one's own that clone made, or else
// what is held.
func (k thief) remove(tg target) error {
	name := tg.held
	if tg.heldIn == k.a {
		name = "vol.stolen " + tg.name
	}
	return librbd.RemoveImage(k.in(k.conn, tg.heldIn), name)
}

func (k thief) managerCommand() error {
	_, _, err := k.conn.MgrCommand([][]byte{[]byte(`{"prefix":"rbd task list","format":"json"}`)})
	return err
}

func (k thief) readDefault() error {
	_, err := k.in(k.conn, "").Read("rbd_namespace", make([]byte, 64), 0)
	return err
}

func (k thief) writeDefault() error {
	return k.in(k.conn, "").Write("stolen", []byte("x"), 0)
}

func (k thief) makeNamespace() error {
	return librbd.NamespaceCreate(k.in(k.conn, ""), "stolen")
}

// readOtherPool reads an object of the same namespace's name in another pool.
func (k thief) readOtherPool() error {
	pool := k.ceph.Pool()
	ioctx, err := k.conn.OpenIOContext(pool)
	if err != nil {
		return err
	}
	defer ioctx.Destroy()
	ioctx.SetNamespace(k.a)
	_, err = ioctx.Read("rbd_directory", make([]byte, 64), 0)
	return err
}
