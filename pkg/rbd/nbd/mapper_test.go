package nbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// program stands for rbd-nbd and the kernel behind it: it notes what it is
// told, and makes or removes device 3, served by process 42, below its own
// directory. Files there make it behave badly.
const program = `#!/bin/sh
root=$(dirname "$0")
echo "$@" >> "$root/told"
[ -e "$root/hangs" ] && exec sleep 600
[ -e "$root/refuses" ] && { echo "rbd-nbd: it will not" >&2; exit 1; }
case $1 in
map)
	cat /proc/self/fd/3 > "$root/key"
	tr '\0' '\n' < /proc/self/environ > "$root/environ"
	cat /proc/self/environ > "$root/proc/42/environ"
	mkdir -p "$root/sys/block/nbd3/queue"
	echo 128 > "$root/sys/block/nbd3/queue/read_ahead_kb"
	: > "$root/dev/nbd3"
	echo 42 > "$root/sys/block/nbd3/pid"
	echo /dev/nbd3 ;;
unmap) [ -e "$root/stays" ] || rm -r "$root/sys/block/nbd3" ;;
esac
`

// machine is a node with a fake kernel, and one image in a fake Ceph.
type machine struct {
	*Mapper
	root   string
	id     rbd.Identity
	holder string
	err    error
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{root: t.TempDir(), id: rbd.Identity{FSID: "f1", PoolID: 5, ImageID: "10cc"}}
	for _, dir := range []string{"sys/module/nbd", "sys/block/nbd0", "proc/42", "dev"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.put(t, "rbd-nbd", program)
	m.Mapper = New(Options{
		Inspect: func(context.Context, rbd.Mapping, volume.Credentials) (rbd.Identity, string, error) {
			return m.id, m.holder, m.err
		},
		Starter: mounter.Local{Paths: map[string]string{mounter.NBD: filepath.Join(m.root, "rbd-nbd")}},
		Sys:     filepath.Join(m.root, "sys"),
		Proc:    filepath.Join(m.root, "proc"), Dev: filepath.Join(m.root, "dev"),
	})
	return m
}

func (m *machine) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func someImage() rbd.Mapping {
	return rbd.Mapping{
		Monitors: []string{"192.0.2.1:3300", "192.0.2.2:3300"}, Pool: "rbd", Namespace: "acme", Image: "vol.0a",
		Identity: rbd.Identity{FSID: "f1", ImageID: "10cc"},
	}
}

func someKey() volume.Credentials { return volume.Credentials{User: "u", Key: "c2VjcmV0Cg=="} }

// What rbd-nbd is told to do is what a mounter lets it be told.
func TestMounterTakesTheOrders(t *testing.T) {
	memory, err := mounter.InMemory("key", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	written, sealed := someImage(), someImage()
	sealed.Image, sealed.Snapshot, sealed.ReadOnly, sealed.Monitors = "golden.m.v1", "sealed", true, []string{"[2001:db8::1]:3300"}
	for _, m := range []rbd.Mapping{written, sealed} {
		arguments, err := mapArguments(m, "sdp.rbd.acme.reader")
		if err != nil {
			t.Fatal(err)
		}
		label, err := wire.Source(m)
		if err != nil {
			t.Fatal(err)
		}
		o := mounter.Order{Program: mounter.NBD, Arguments: arguments, Label: label, Output: memory, Files: []*os.File{memory}}
		if err := o.Check("/run/sdp-csi"); err != nil {
			t.Error(err)
		}
	}
}

func TestMapAndUnmap(t *testing.T) {
	k, m := newMachine(t), someImage()
	if err := k.Available(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := rbd.Device{Path: filepath.Join(k.root, "dev/nbd3")}
	for range 2 {
		if d, err := k.Map(t.Context(), m, someKey()); err != nil || d != want {
			t.Fatalf("%v, %v", d, err)
		}
	}
	if told := k.read(t, "told"); strings.Count(told, "map ") != 1 || strings.Contains(told, "c2VjcmV0Cg") {
		t.Errorf("told %s", told)
	}
	if k.read(t, "key") != "c2VjcmV0Cg==" || strings.Contains(k.read(t, "environ"), "c2VjcmV0Cg") {
		t.Error("the key is not where it should be alone")
	}
	if ahead := k.read(t, "sys/block/nbd3/queue/read_ahead_kb"); strings.TrimSpace(ahead) != "16384" {
		t.Errorf("read-ahead %s", ahead)
	}
	again := New(k.options)
	listed, err := again.List(t.Context())
	if err != nil || len(listed) != 1 || listed[0].Device != want || listed[0].Identity != k.id || listed[0].ReadOnly {
		t.Fatalf("listed %+v, %v", listed, err)
	}
	for range 2 {
		if err := again.Unmap(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Find(t.Context(), m); !errors.Is(err, volume.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestFindComparesWhatIsKnown(t *testing.T) {
	k, m := newMachine(t), someImage()
	if _, err := k.Map(t.Context(), m, someKey()); err != nil {
		t.Fatal(err)
	}
	names, otherID, otherName, snapshot := m, m, m, m
	names.Identity, otherID.ImageID, otherName.Namespace, snapshot.Snapshot = rbd.Identity{}, "0000", "globex", "s"
	for name, c := range map[string]struct {
		m     rbd.Mapping
		found bool
	}{
		"all": {m, true}, "names only": {names, true}, "another id": {otherID, false},
		"another namespace": {otherName, false}, "a snapshot": {snapshot, false},
	} {
		if _, err := k.Find(t.Context(), c.m); (err == nil) != c.found || err != nil && !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMapArguments(t *testing.T) {
	m := someImage()
	got, err := mapArguments(m, "u")
	want := "map --conf /dev/null --mon-host [v2:192.0.2.1:3300],[v2:192.0.2.2:3300] --id u --keyfile /proc/self/fd/3 " +
		"--rbd-cache false --client-mount-timeout 15 --try-netlink --exclusive rbd/acme/vol.0a"
	if err != nil || strings.Join(got, " ") != want {
		t.Fatalf("%v, %v", got, err)
	}
	m.Namespace, m.Snapshot, m.ReadOnly = "", "sealed", true
	got, err = mapArguments(m, "u")
	if err != nil || !slices.Contains(got, "--read-only") || slices.Contains(got, "--exclusive") || got[len(got)-1] != "rbd/vol.0a@sealed" {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "a b", "a/b", "a@b", "-a", "a\x00"} {
		m := someImage()
		m.Image = bad
		if _, err := mapArguments(m, "u"); !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, k *machine)
		want    error
		says    string
	}{
		"no image":      {func(_ *testing.T, k *machine) { k.err = fmt.Errorf("open: %w", volume.ErrNotFound) }, volume.ErrNotFound, "open"},
		"wrong key":     {func(_ *testing.T, k *machine) { k.err = fmt.Errorf("open: %w", volume.ErrDenied) }, volume.ErrDenied, "open"},
		"another image": {func(_ *testing.T, k *machine) { k.id.ImageID = "0000" }, volume.ErrNotFound, "not the one"},
		"held": {func(t *testing.T, k *machine) {
			k.put(t, "refuses", "")
			k.holder = "192.0.2.9:0/1"
		}, volume.ErrInUse, "192.0.2.9"},
		"anything else": {func(t *testing.T, k *machine) { k.put(t, "refuses", "") }, volume.ErrUnavailable, "it will not"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newMachine(t)
			c.prepare(t, k)
			_, err := k.Map(t.Context(), someImage(), someKey())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "c2VjcmV0Cg") {
				t.Fatal(err)
			}
			if _, err := k.Find(t.Context(), someImage()); !errors.Is(err, volume.ErrNotFound) {
				t.Fatal(err)
			}
		})
	}
}

func TestHangingProgramIsKilled(t *testing.T) {
	k := newMachine(t)
	k.put(t, "hangs", "")
	k.options.MapTimeout = 100 * time.Millisecond
	if _, err := k.Map(t.Context(), someImage(), someKey()); !errors.Is(err, volume.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestDeviceThatStays(t *testing.T) {
	k := newMachine(t)
	if _, err := k.Map(t.Context(), someImage(), someKey()); err != nil {
		t.Fatal(err)
	}
	k.put(t, "stays", "")
	k.options.EndTimeout = 300 * time.Millisecond
	if err := k.Unmap(t.Context(), someImage()); !errors.Is(err, volume.ErrUnavailable) {
		t.Fatal(err)
	}
}

// Another access than the device has is another mapping of the same image.
func TestOtherAccessIsMappedAnew(t *testing.T) {
	k, m := newMachine(t), someImage()
	for _, readOnly := range []bool{false, true, false} {
		m.ReadOnly = readOnly
		if _, err := k.Map(t.Context(), m, someKey()); err != nil {
			t.Fatal(err)
		}
		if listed, err := k.List(t.Context()); err != nil || len(listed) != 1 || listed[0].ReadOnly != readOnly {
			t.Fatalf("%+v, %v", listed, err)
		}
	}
}

func TestDevicesOfOthers(t *testing.T) {
	k := newMachine(t)
	for file, text := range map[string]string{
		"sys/block/nbd1/pid": "43\n", "proc/43/environ": "A=b\x00C=d\x00", // another's
		"sys/block/nbd2/pid": "44\n", // has just ended
		"sys/block/nbd4/pid": "?\n",
		"sys/block/nbd5/pid": "45\n", "proc/45/environ": mounter.Variable + "=nonsense\x00",
		"sys/block/nbd6/pid": "46\n", "proc/46/environ": mounter.Variable + "=sdp:f/5/rbd/acme/else/id//0/rw\x00", // no name of the driver's
	} {
		if err := os.MkdirAll(filepath.Join(k.root, filepath.Dir(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		k.put(t, file, text)
	}
	if listed, err := k.List(t.Context()); err != nil || len(listed) != 0 {
		t.Fatalf("%+v, %v", listed, err)
	}
}

func TestUnavailable(t *testing.T) {
	k := newMachine(t)
	k.options.Starter = mounter.Local{Paths: map[string]string{mounter.NBD: filepath.Join(k.root, "none")}}
	if err := k.Available(t.Context()); !errors.Is(err, volume.ErrUnsupported) {
		t.Fatal(err)
	}
}
