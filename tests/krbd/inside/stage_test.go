//go:build krbd

package inside

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// TestAvailable: the module is there; what it can do is what it says.
func TestAvailable(t *testing.T) {
	n := newNode(t)
	if err := n.mapper.Available(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !n.mapper.Exclusive() || n.mapper.Limit() <= 0 {
		t.Fatalf("exclusive %t, limit %d", n.mapper.Exclusive(), n.mapper.Limit())
	}
}

// TestFunction stages what a function reads, with a key that can only read,
// twice. An ext4 golden has a journal, which must not be replayed.
func TestFunction(t *testing.T) {
	for role, fsType := range map[string]string{scene.Function: "erofs", scene.Journal: "ext4"} {
		for round := range 2 {
			t.Run(fmt.Sprint(role, " ", round+1), func(t *testing.T) { newNode(t).servesFunction(role, fsType) })
		}
	}
}

func (n *node) servesFunction(role, fsType string) {
	n.check("stage", func(n *node) { n.stage(role, scene.Reader, readOnly) })
	n.check("stage again", func(n *node) { n.stage(role, scene.Reader, readOnly) })
	n.check("one device", (*node).hasOneDevice)
	n.check("read-only in device and mount", func(n *node) { n.isReadOnlyAll(role, fsType) })
	n.check("read", func(n *node) { n.readsFiles(role) })
	n.check("refuse writes on the file system", func(n *node) { n.refusesFiles(role) })
	n.check("refuse writes on the device", func(n *node) { n.refusesBlocks(role) })
	n.check("a writer's access mode is refused", func(n *node) {
		n.wants(n.tryStage(role, scene.Reader, nil), volume.ErrPrecondition)
	})
	n.check("keep the key", (*node).keepsKeys)
	n.check("unstage", func(n *node) { n.unstage(role); n.isEmpty("unstaged") })
	n.check("unstage again", func(n *node) { n.unstage(role) })
}

func (n *node) hasOneDevice() {
	n.t.Helper()
	all, err := n.mapper.List(n.t.Context())
	if err != nil || len(all) != 1 {
		n.t.Fatalf("devices %+v, %v", all, err)
	}
}

func (n *node) isReadOnlyAll(role, fsType string) {
	n.t.Helper()
	m := n.device(role)
	if !m.ReadOnly || m.FsType != fsType {
		n.t.Fatalf("mounted as %+v", m)
	}
	f, err := os.Open(m.Device)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	if ro, err := unix.IoctlGetUint32(int(f.Fd()), unix.BLKROGET); err != nil || ro != 1 {
		n.t.Fatalf("the device's read-only flag is %d, %v", ro, err)
	}
}

func (n *node) readsFiles(role string) {
	n.t.Helper()
	for name, want := range n.scene.Files {
		if got, err := digest(filepath.Join(staging(role), name)); err != nil || got != want {
			n.t.Errorf("%s: digest %s, %v, want %s", name, got, err, want)
		}
	}
}

func (n *node) refusesFiles(role string) {
	n.t.Helper()
	path := filepath.Join(staging(role), "intruder")
	if err := os.WriteFile(path, []byte("x"), 0o600); !errors.Is(err, unix.EROFS) {
		n.t.Fatalf("a new file: %v", err)
	}
	if err := unix.Mount("", staging(role), "", unix.MS_REMOUNT, ""); err == nil {
		if err := os.WriteFile(path, []byte("x"), 0o600); err == nil {
			n.t.Fatal("remounted writable")
		}
	}
}

// refusesBlocks writes to the device itself, also after an attempt to lift its
// read-only flag. Some kernels let root do that; the mapping stays read-only
// all the same.
func (n *node) refusesBlocks(role string) {
	n.t.Helper()
	m := n.device(role)
	if err := writeBlock(m.Device); err == nil {
		n.t.Fatal("the device took a write")
	}
	f, err := os.Open(m.Device)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	lifted := unix.IoctlSetPointerInt(int(f.Fd()), unix.BLKROSET, 0)
	written := writeBlock(m.Device)
	n.t.Logf("lift the flag: %v; write then: %v", lifted, written)
	if written == nil {
		n.t.Fatal("the device took a write")
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.BLKROSET, 1); err != nil {
		n.t.Fatal(err)
	}
}

func writeBlock(device string) error {
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(make([]byte, 4096))
	return errors.Join(err, f.Sync())
}

// TestBlank stages a blank volume twice: what the first wrote the second
// reads, and in between nobody else may write.
func TestBlank(t *testing.T) {
	for _, role := range []string{scene.Ext4, scene.XFS} {
		t.Run(role, func(t *testing.T) {
			n := newNode(t)
			file := filepath.Join(staging(role), "file")
			content := make([]byte, 3<<20)
			rand.Read(content)
			n.check("a key that only reads is refused", func(n *node) {
				n.wants(n.tryStage(role, scene.Reader, nil), volume.ErrDenied)
				n.isEmpty("refused")
			})
			n.check("stage", func(n *node) { n.stage(role, scene.Writer, nil) })
			n.check("write", func(n *node) { n.writes(file, content) })
			n.check("a second writer is refused", func(n *node) { n.refusesSecond(role) })
			n.check("stage again", func(n *node) { n.stage(role, scene.Writer, nil) })
			n.check("keep the key", (*node).keepsKeys)
			n.check("a busy volume stays", func(n *node) { n.staysBusy(role, file) })
			n.check("unstage", func(n *node) { n.unstage(role); n.isEmpty("unstaged") })
			n.check("stage once more", func(n *node) { n.stage(role, scene.Writer, nil) })
			n.check("read", func(n *node) { n.reads(file, content) })
			n.check("unstage once more", func(n *node) { n.unstage(role); n.isEmpty("unstaged") })
		})
	}
}

func (n *node) writes(path string, content []byte) {
	n.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) reads(path string, content []byte) {
	n.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, content) {
		n.t.Fatalf("%s: %v, %d bytes are not what was written", path, err, len(got))
	}
}

// refusesSecond maps the image once more, by a mapper that does not see the
// first mapping, as another node's would not.
func (n *node) refusesSecond(role string) {
	n.t.Helper()
	_, err := n.blindMapper().Map(n.t.Context(), n.mapping(role), n.credentials(scene.Writer))
	n.wants(err, volume.ErrInUse)
	n.hasOneDevice()
}

// blindMapper has the kernel's doors, but no list of devices.
func (n *node) blindMapper() *krbd.Mapper {
	n.t.Helper()
	sys := n.t.TempDir()
	if err := os.MkdirAll(filepath.Join(sys, "bus/rbd/devices"), 0o755); err != nil {
		n.t.Fatal(err)
	}
	for _, door := range []string{"add_single_major", "remove_single_major"} {
		if err := os.Symlink("/sys/bus/rbd/"+door, filepath.Join(sys, "bus/rbd", door)); err != nil {
			n.t.Fatal(err)
		}
	}
	return krbd.New(sys, "/dev")
}

func (n *node) staysBusy(role, file string) {
	n.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	id := n.id(role)
	n.wants(n.stager.Unstage(n.t.Context(), n.place(id), id, staging(role)), volume.ErrInUse)
	n.wants(n.mapper.Unmap(n.t.Context(), n.mapping(role)), volume.ErrInUse)
	n.hasOneDevice()
}

// TestCopy stages a writable clone of an ext4 golden: its file system has grown
// to the clone's size, and what is written stays there.
func TestCopy(t *testing.T) {
	n := newNode(t)
	file := filepath.Join(staging(scene.Copy), "file")
	content := make([]byte, 1<<20)
	rand.Read(content)
	n.check("stage", func(n *node) { n.stage(scene.Copy, scene.Writer, nil) })
	n.check("read", func(n *node) { n.readsFiles(scene.Copy) })
	n.check("it is as large as the clone", func(n *node) { n.hasRoom(scene.Copy, 200<<20) })
	n.check("write", func(n *node) { n.writes(file, content) })
	n.check("unstage", func(n *node) { n.unstage(scene.Copy); n.isEmpty("unstaged") })
	n.check("stage once more", func(n *node) { n.stage(scene.Copy, scene.Writer, nil) })
	n.check("read what was written", func(n *node) { n.reads(file, content) })
	n.check("unstage once more", func(n *node) { n.unstage(scene.Copy); n.isEmpty("unstaged") })
}

// hasRoom demands that the file system is at least so large.
func (n *node) hasRoom(role string, least int64) {
	n.t.Helper()
	u, err := n.host.Usage(n.t.Context(), staging(role))
	if err != nil || u.Total < least {
		n.t.Fatalf("usage %+v, %v: want at least %d in all", u, err, least)
	}
}

// TestWriterHolds: what keeps other writers out, the mapping's lock, keeps out
// the controller's changes to the image too; they go through once the volume
// is unstaged, and the next stage shows the new size.
func TestWriterHolds(t *testing.T) {
	n := newNode(t)
	n.check("stage", func(n *node) { n.stage(scene.Ext4, scene.Writer, nil) })
	for _, verb := range []string{scene.Grow, scene.Snap} {
		n.check("refused: "+verb, func(n *node) {
			if said := n.ask(verb, scene.Ext4); !strings.Contains(said, "Read-only file system") {
				n.t.Fatal(said)
			}
		})
	}
	n.check("unstage", func(n *node) { n.unstage(scene.Ext4); n.isEmpty("unstaged") })
	for _, verb := range []string{scene.Grow, scene.Snap} {
		n.check("done: "+verb, func(n *node) {
			if said := n.ask(verb, scene.Ext4); said != scene.Done {
				n.t.Fatal(said)
			}
		})
	}
	n.check("stage once more", func(n *node) { n.stage(scene.Ext4, scene.Writer, nil) })
	n.check("it is as large as the image", func(n *node) { n.hasRoom(scene.Ext4, scene.Grown*9/10) })
	n.check("unstage once more", func(n *node) { n.unstage(scene.Ext4); n.isEmpty("unstaged") })
}

// TestReaderGrows: a volume that is mapped read-only holds nothing up, and is
// as large as its image when it was expanded.
func TestReaderGrows(t *testing.T) {
	n := newNode(t)
	n.check("stage", func(n *node) {
		n.stage(scene.Block, scene.Reader, func(st *volume.Stage) { st.Block, st.ReadOnly = true, true })
	})
	n.check("done: "+scene.Grow, func(n *node) {
		if said := n.ask(scene.Grow, scene.Block); said != scene.Done {
			n.t.Fatal(said)
		}
	})
	n.check("expand", func(n *node) {
		id := n.id(scene.Block)
		if err := n.stager.Expand(n.t.Context(), n.place(id), id, staging(scene.Block)); err != nil {
			n.t.Fatal(err)
		}
		n.hasRoom(scene.Block, scene.Grown)
	})
	n.check("unstage", func(n *node) { n.unstage(scene.Block); n.isEmpty("unstaged") })
}

// ask asks the outside for something and waits for the answer, which comes
// where the test's output goes.
func (n *node) ask(verb, role string) string {
	n.t.Helper()
	fmt.Printf("\n%s%s %s\n", scene.Ask, verb, role)
	said, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(said)
}

// TestLocked: a volume whose lock another client holds is refused.
func TestLocked(t *testing.T) {
	n := newNode(t)
	n.wants(n.tryStage(scene.Locked, scene.Writer, nil), volume.ErrInUse)
	n.isEmpty("refused")
}

// TestBlock stages a block volume twice.
func TestBlock(t *testing.T) {
	n := newNode(t)
	device := filepath.Join(staging(scene.Block), volume.StagedDevice)
	content := make([]byte, 1<<20)
	rand.Read(content)
	block := func(st *volume.Stage) { st.Block = true }
	n.check("stage", func(n *node) { n.stage(scene.Block, scene.Writer, block) })
	n.check("it is a device", func(n *node) { n.isDevice(device) })
	n.check("write", func(n *node) { n.writesBlock(device, content) })
	n.check("stage again", func(n *node) { n.stage(scene.Block, scene.Writer, block) })
	n.check("unstage", func(n *node) { n.unstage(scene.Block); n.isEmpty("unstaged") })
	n.check("stage read-only", func(n *node) {
		n.stage(scene.Block, scene.Reader, func(st *volume.Stage) { st.Block, st.ReadOnly = true, true })
	})
	n.check("read", func(n *node) { n.readsBlock(device, content) })
	n.check("refuse writes", func(n *node) {
		if err := writeBlock(device); err == nil {
			n.t.Fatal("the device took a write")
		}
	})
	n.check("unstage once more", func(n *node) { n.unstage(scene.Block); n.isEmpty("unstaged") })
	n.check("as a file system it is refused", func(n *node) {
		n.wants(n.tryStage(scene.Block, scene.Writer, nil), volume.ErrPrecondition)
	})
}

func (n *node) isDevice(path string) {
	n.t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) != fs.ModeDevice {
		n.t.Fatalf("%s: %v, %v", path, info, err)
	}
}

func (n *node) writesBlock(device string, content []byte) {
	n.t.Helper()
	f, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	_, err = f.WriteAt(content, 5<<20)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) readsBlock(device string, content []byte) {
	n.t.Helper()
	f, err := os.Open(device)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, len(content))
	if _, err := f.ReadAt(got, 5<<20); err != nil || !bytes.Equal(got, content) {
		n.t.Fatalf("%v: the device does not have what was written", err)
	}
}

var _ rbd.Mapper = (*krbd.Mapper)(nil)
