package tenants

import (
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"
	"syscall"
	"time"

	libcephfs "github.com/ceph/go-ceph/cephfs"
	"github.com/ceph/go-ceph/rados"
)

// of is a namespace of a pool.
func (k fileThief) of(pool, namespace string) *rados.IOContext {
	k.t.Helper()
	ioctx, err := k.conn.OpenIOContext(pool)
	must(k.t, err)
	k.t.Cleanup(ioctx.Destroy)
	ioctx.SetNamespace(namespace)
	return ioctx
}

func (k fileThief) list(pool, namespace string) error {
	found := 0
	err := k.of(pool, namespace).ListObjects(func(string) { found++ })
	return isThere(found, err)
}

func (k fileThief) listData(tr tree) error { return k.list(theData, tr.space()) }

func (k fileThief) readData(tr tree) error {
	return isThere(k.of(theData, tr.space()).Read(tr.object(), make([]byte, 16), 0))
}

func (k fileThief) writeData(tr tree) error {
	return k.of(theData, tr.space()).Write("stolen", []byte("x"), 0)
}

func (k fileThief) mounts(root string) error {
	m, err := k.mount(root)
	if err != nil {
		return err
	}
	dir, err := m.OpenDir("/")
	if err != nil {
		return err
	}
	defer dir.Close()
	found := 0
	for {
		entry, err := dir.ReadDir()
		if err != nil || entry == nil {
			return isThere(found, err)
		}
		if !strings.HasPrefix(entry.Name(), ".") {
			found++
		}
	}
}

func (k fileThief) mountGroup(tr tree) error     { return k.mounts(path.Dir(tr.root())) }
func (k fileThief) mountSubvolume(tr tree) error { return k.mounts(tr.root()) }
func (k fileThief) mountContent(tr tree) error   { return k.mounts(tr.content()) }

func (k fileThief) read(root, name string) error {
	m, err := k.mount(root)
	if err != nil {
		return err
	}
	f, err := m.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return err
	}
	n, err := f.ReadAt(make([]byte, 64), 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(isThere(n, err), f.Close())
}

func (k fileThief) readFile(tr tree) error { return k.read(tr.content(), "/model") }

func (k fileThief) readSnapshot(tr tree) error {
	return k.read(tr.root(), path.Join("/.snap", tr.snapshot, tr.directory, "model"))
}

func (k fileThief) writeFile(tr tree) error {
	m, err := k.mount(tr.content())
	if err != nil {
		return err
	}
	f, err := m.Open("/stolen", syscall.O_WRONLY|syscall.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("stolen"))
	return errors.Join(err, f.Fsync(libcephfs.SyncAll), f.Close(), m.Unlink("/stolen"))
}

// inSubvolume does something to a subvolume and undoes it.
func (k fileThief) inSubvolume(tr tree, do, undo func(*libcephfs.MountInfo) error) error {
	m, err := k.mount(tr.root())
	if err == nil {
		err = do(m)
	}
	if err == nil {
		err = undo(m)
	}
	return err
}

func (k fileThief) linkAbove(tr tree) error {
	return k.inSubvolume(tr,
		func(m *libcephfs.MountInfo) error { return m.Symlink("/volumes", "/planted") },
		func(m *libcephfs.MountInfo) error { return m.Unlink("/planted") })
}

func (k fileThief) takeSnapshot(tr tree) error {
	return k.inSubvolume(tr,
		func(m *libcephfs.MountInfo) error { return m.MakeDir("/.snap/stolen", 0o755) },
		func(m *libcephfs.MountInfo) error { return m.RemoveDir("/.snap/stolen") })
}

// removeSnapshot removes the snapshot; who can takes it again.
func (k fileThief) removeSnapshot(tr tree) error {
	name := path.Join("/.snap", tr.snapshot)
	return k.inSubvolume(tr,
		func(m *libcephfs.MountInfo) error { return m.RemoveDir(name) },
		func(m *libcephfs.MountInfo) error { return m.MakeDir(name, 0o755) })
}

// attribute sets an attribute of the content, where the quota and the layout
// are.
func (k fileThief) attribute(tr tree, name, value string) error {
	m, err := k.mount(tr.content())
	if err != nil {
		return err
	}
	old, err := m.GetXattr("/", name)
	if err != nil {
		old = []byte("0") // a golden has no quota
	}
	if err := m.SetXattr("/", name, []byte(value), 0); err != nil {
		return err
	}
	return m.SetXattr("/", name, old, 0)
}

func (k fileThief) liftQuota(tr tree) error {
	return k.attribute(tr, "ceph.quota.max_bytes", "1099511627776")
}

func (k fileThief) leadAway(tr tree) error {
	return k.attribute(tr, "ceph.dir.layout.pool_namespace", "fsvolumens_"+k.b+".stolen")
}

func (k fileThief) key(tr tree) string { return "sdp.key." + tr.owner + "." + tr.subvolume }

// readKey reads what of A and B is a volume's key. Goldens have none.
func (k fileThief) readKey(tr tree) error {
	_, err := k.of(k.place(k.a).Pool(), tr.owner+".keys").Read(k.key(tr), make([]byte, 512), 0)
	return notYet(err, syscall.ENOENT)
}

func (k fileThief) writeKey(tr tree) error {
	ioctx := k.of(k.place(k.a).Pool(), tr.owner+".keys")
	return errors.Join(ioctx.Write("stolen", []byte("{}"), 0), ioctx.Delete("stolen"))
}

func (k fileThief) readFileRecord(tr tree) error {
	return isThere(k.of(k.place(k.a).Pool(), tr.owner).Read(tr.record, make([]byte, 1024), 0))
}

func (k fileThief) writeFileRecord(tr tree) error {
	ioctx := k.of(k.place(k.a).Pool(), tr.owner)
	return errors.Join(ioctx.Write("sdp.fs.vol.stolen", []byte("{}"), 0), ioctx.Delete("sdp.fs.vol.stolen"))
}

func (k fileThief) writeFileLease(tr tree) error {
	return k.of(k.place(k.a).Pool(), tr.owner).SetOmap("sdp.lease."+tr.directory+".nodes", map[string][]byte{"thief": []byte("2030-01-01T00:00:00Z")})
}

func (k fileThief) mountRoot() error   { return k.mounts("/") }
func (k fileThief) mountGroups() error { return k.mounts("/volumes") }

func (k fileThief) listReferences() error { return k.list(k.place(k.a).Pool(), "sdp.refs") }

func (k fileThief) writeReference() error {
	ioctx := k.of(k.place(k.a).Pool(), "sdp.refs")
	return errors.Join(ioctx.SetOmap("stolen@x", map[string][]byte{"thief": nil}), ioctx.Delete("stolen@x"))
}

func (k fileThief) listMetadata() error { return k.list(theMetadata, "") }

func (k fileThief) listPlainData() error {
	err := k.list(theData, "")
	if err != nil && err.Error() == isThere(0, nil).Error() {
		return nil // all data are in namespaces, and it was let look
	}
	return err
}

func (k fileThief) listSessions() error {
	m, err := libcephfs.CreateFromRados(k.conn)
	if err != nil {
		return err
	}
	defer m.Release()
	if err := m.Init(); err != nil {
		return err
	}
	_, _, err = m.MdsCommand("0", [][]byte{[]byte(`{"prefix":"session ls"}`)})
	return err
}

func (k fileThief) askManager() error {
	command, _ := json.Marshal(map[string]any{"prefix": "fs subvolume ls", "vol_name": theFiles, "group_name": k.a})
	_, _, err := k.conn.MgrCommand([][]byte{command})
	return err
}

func (k fileThief) makeUser() error {
	for _, prefix := range []string{"auth get-or-create", "auth rm"} {
		command, _ := json.Marshal(map[string]any{"prefix": prefix, "entity": "client.sdpfs." + k.b + ".stolen"})
		if _, _, err := k.conn.MonCommand(command); err != nil {
			return err
		}
	}
	return nil
}

// requests is where controllers ask sdp-csi --mode=tenants for users. The
// object is there, as it is when that has run.
func (k fileThief) requests() *rados.IOContext { return k.of(k.place(k.a).Pool(), "sdp.users") }

// ask sends a request for the user of a tenant's volume. Whoever may send it
// finds that nobody serves it here.
func (k fileThief) ask(tenant string) error {
	text, _ := json.Marshal(map[string]any{
		"tenant": tenant, "subvolume": "vol." + strings.Repeat("0", 32) + "." + strings.Repeat("A", 26), "directory": "0",
	})
	_, _, err := k.requests().NotifyWithTimeout("requests", text, time.Second)
	return err
}

func (k fileThief) askForUser() error   { return k.ask(k.a) }
func (k fileThief) askForTheirs() error { return k.ask(k.b) }

func (k fileThief) answerRequests() error {
	w, err := k.requests().Watch("requests")
	if err != nil {
		return err
	}
	return w.Delete()
}

func (k fileThief) writeRequest() error {
	ioctx := k.requests()
	return errors.Join(ioctx.Write("stolen", []byte("{}"), 0), ioctx.Delete("stolen"))
}
