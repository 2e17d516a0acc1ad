package krbd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// What the kernel does is tested in tests/krbd. Here is a directory that looks
// like its sysfs.

const (
	fsid  = "62fc36c7-40a8-4eb2-92a0-f73097f3065d"
	other = "00000000-0000-0000-0000-000000000000"
)

func sealed() rbd.Mapping {
	return rbd.Mapping{
		Monitors: []string{"192.0.2.1:3300", "192.0.2.2:3300"}, Pool: "rbd", Namespace: "acme",
		Image: "golden.model.v1", Snapshot: "sealed", ReadOnly: true,
		Identity: rbd.Identity{FSID: fsid, PoolID: 4, ImageID: "10226b8b4567", SnapshotID: 7},
	}
}

func head() rbd.Mapping {
	m := sealed()
	m.Image, m.Snapshot, m.ReadOnly = "vol.0123", "", false
	m.ImageID, m.SnapshotID = "1022aaaa", 0
	return m
}

// sysfs shows the mappings as devices 0, 1, 2…
func sysfs(t *testing.T, mappings ...rbd.Mapping) *Mapper {
	t.Helper()
	k := New(t.TempDir(), "/dev")
	for _, file := range []string{addFile, removeFile} {
		put(t, k, file, "")
	}
	for n, m := range mappings {
		show(t, k, n, m)
	}
	return k
}

func show(t *testing.T, k *Mapper, n int, m rbd.Mapping) {
	t.Helper()
	snapshot, snapID := m.Snapshot, fmt.Sprint(m.SnapshotID)
	if snapshot == "" {
		snapshot, snapID = noSnapshot, fmt.Sprint(uint64(1<<64-2)) // the kernel's CEPH_NOSNAP
	}
	for name, text := range map[string]string{
		"pool": m.Pool, "pool_ns": m.Namespace, "name": m.Image, "current_snap": snapshot,
		"cluster_fsid": m.FSID, "pool_id": fmt.Sprint(m.PoolID), "image_id": m.ImageID, "snap_id": snapID, "refresh": "",
	} {
		put(t, k, filepath.Join(devicesDir, fmt.Sprint(n), name), text+"\n")
	}
	ro := map[bool]string{true: "1\n", false: "0\n"}[m.ReadOnly]
	put(t, k, fmt.Sprintf("block/rbd%d/ro", n), ro)
}

func put(t *testing.T, k *Mapper, file, text string) {
	t.Helper()
	path := filepath.Join(k.sys, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func written(t *testing.T, k *Mapper, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.sys, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAddLine(t *testing.T) {
	const tail = ",ms_mode=prefer-crc,mount_timeout=15,lock_timeout=60 rbd "
	const front = "192.0.2.1:3300,192.0.2.2:3300 name=reader,key=sdp-csi,_pool_ns=acme,"
	readOnly := head()
	readOnly.ReadOnly = true
	for name, c := range map[string]struct {
		mapping rbd.Mapping
		want    string
	}{
		"a snapshot":       {sealed(), front + "ro" + tail + "golden.model.v1 sealed"},
		"a writable image": {head(), front + "exclusive" + tail + "vol.0123 -"},
		"read-only":        {readOnly, front + "ro" + tail + "vol.0123 -"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := addLine(c.mapping, "reader"); err != nil || got != c.want {
				t.Fatalf("got %q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestAddLineRefuses(t *testing.T) {
	for name, edit := range map[string]func(*rbd.Mapping){
		"no pool":               func(m *rbd.Mapping) { m.Pool = "" },
		"no namespace":          func(m *rbd.Mapping) { m.Namespace = "" },
		"an option":             func(m *rbd.Mapping) { m.Namespace = "acme,rw" },
		"a word more":           func(m *rbd.Mapping) { m.Image = "a b" },
		"a line more":           func(m *rbd.Mapping) { m.Snapshot = "a\nb" },
		"another white space":   func(m *rbd.Mapping) { m.Image = "a\vb" },
		"an end":                func(m *rbd.Mapping) { m.Pool = "a\x00" },
		"two monitors in one":   func(m *rbd.Mapping) { m.Monitors = []string{"a:1,b:2"} },
		"a monitor and options": func(m *rbd.Mapping) { m.Monitors = []string{"a:1 rw"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := sealed()
			edit(&m)
			if line, err := addLine(m, "reader"); !errors.Is(err, volume.ErrInvalid) {
				t.Fatalf("got %q, %v", line, err)
			}
		})
	}
}

func FuzzAddLine(f *testing.F) {
	f.Add("rbd", "acme", "golden.model.v1", "sealed", "reader", "192.0.2.1:3300")
	f.Add("rbd", "acme,rw", "a b", "-", "admin\n", "a,b")
	f.Fuzz(func(t *testing.T, pool, namespace, image, snapshot, user, monitor string) {
		m := rbd.Mapping{Monitors: []string{monitor}, Pool: pool, Namespace: namespace, Image: image, Snapshot: snapshot}
		line, err := addLine(m, user)
		if err != nil {
			return
		}
		// The kernel splits at white space, and options at commas.
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \f\n\r\t\v\x00", r) })
		if len(words) != 5 || words[0] != monitor || words[2] != pool || words[3] != image ||
			words[4] != snapshot && snapshot != "" || len(strings.Split(words[1], ",")) != 7 {
			t.Fatalf("%q says something else", line)
		}
	})
}

func TestFind(t *testing.T) {
	k := sysfs(t, head(), sealed())
	for name, c := range map[string]struct {
		edit  func(*rbd.Mapping)
		found bool
	}{
		"as it is":         {func(*rbd.Mapping) {}, true},
		"by names":         {func(m *rbd.Mapping) { m.Identity = rbd.Identity{} }, true},
		"written elsewise": {func(m *rbd.Mapping) { m.ReadOnly, m.Monitors = false, nil }, true},
		"another cluster":  {func(m *rbd.Mapping) { m.FSID = other }, false},
		"another pool":     {func(m *rbd.Mapping) { m.PoolID = 5 }, false},
		"another image":    {func(m *rbd.Mapping) { m.ImageID = "x" }, false},
		"another snapshot": {func(m *rbd.Mapping) { m.SnapshotID = 8 }, false},
		"another tenant":   {func(m *rbd.Mapping) { m.Namespace = "globex" }, false},
		"its head":         {func(m *rbd.Mapping) { m.Snapshot, m.SnapshotID = "", 0 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := sealed()
			c.edit(&m)
			dev, err := k.Find(t.Context(), m)
			if c.found != (err == nil) || c.found && dev.Path != "/dev/rbd1" || !c.found && !errors.Is(err, volume.ErrNotFound) {
				t.Fatalf("found %v, %v", dev, err)
			}
		})
	}
}

func TestMapFindsFirst(t *testing.T) {
	k := sysfs(t, sealed())
	dev, err := k.Map(t.Context(), sealed(), volume.Credentials{User: "reader"})
	if err != nil || dev.Path != "/dev/rbd0" {
		t.Fatalf("%v, %v", dev, err)
	}
	if line := written(t, k, addFile); line != "" {
		t.Fatalf("mapped again: %q", line)
	}
}

// TestUndo: of two devices with the same names, the one that was there before
// stays.
func TestUndo(t *testing.T) {
	old := sealed()
	old.ImageID = "before"
	k := sysfs(t, old, head())
	before, err := k.named(sealed())
	if err != nil {
		t.Fatal(err)
	}
	added := sealed()
	added.ImageID = "added"
	show(t, k, 2, added)
	cause := fmt.Errorf("not mapped: %w", volume.ErrNotFound)
	if err := k.undo(sealed(), before, cause); !errors.Is(err, volume.ErrNotFound) {
		t.Fatal(err)
	}
	if got := written(t, k, removeFile); got != "2" {
		t.Fatalf("removed %q, want device 2", got)
	}
}

func TestList(t *testing.T) {
	foreign := head()
	foreign.Image = "somebody's"
	k := sysfs(t, head(), foreign, sealed())
	got, err := k.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []rbd.Mapped{{Mapping: head(), Device: rbd.Device{Path: "/dev/rbd0"}}, {Mapping: sealed(), Device: rbd.Device{Path: "/dev/rbd2"}}}
	for i := range want {
		want[i].Monitors = nil // the kernel does not tell
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
}

func TestUnmap(t *testing.T) {
	k := sysfs(t, head(), sealed())
	if err := k.Unmap(t.Context(), sealed()); err != nil {
		t.Fatal(err)
	}
	if got := written(t, k, removeFile); got != "1" {
		t.Fatalf("removed %q, want device 1", got)
	}
}

func TestUnmapAbsent(t *testing.T) {
	for name, k := range map[string]*Mapper{"other devices": sysfs(t, head()), "no module": New(t.TempDir(), "/dev")} {
		t.Run(name, func(t *testing.T) {
			if err := k.Unmap(t.Context(), sealed()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	k := sysfs(t, head(), sealed())
	if err := k.Refresh(t.Context(), head()); err != nil {
		t.Fatal(err)
	}
	if got := written(t, k, filepath.Join(devicesDir, "0", "refresh")); !strings.HasPrefix(got, "1") {
		t.Fatalf("wrote %q", got)
	}
	absent := head()
	absent.ImageID = "x"
	if err := k.Refresh(t.Context(), absent); !errors.Is(err, volume.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestMapError(t *testing.T) {
	for errno, want := range map[unix.Errno]error{
		unix.ENOENT: volume.ErrNotFound, unix.EPERM: volume.ErrDenied, unix.EACCES: volume.ErrDenied,
		unix.EBUSY: volume.ErrInUse, unix.EROFS: volume.ErrInUse, unix.ENOSPC: volume.ErrNoSpace,
		unix.ENXIO: volume.ErrUnsupported, unix.ETIMEDOUT: volume.ErrUnavailable, unix.EIO: volume.ErrUnavailable,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			if err := mapError(errno); !errors.Is(err, want) {
				t.Fatalf("got %v, want %v", err, want)
			}
		})
	}
}
