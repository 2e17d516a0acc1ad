package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The test binary runs itself again in a mount namespace of its own, so that
// no mount of a test reaches the machine or outlives the tests. childVariable
// marks the second run, roleVariable runs that are a test's own children.
const (
	childVariable = "SDP_TEST_MOUNT_NAMESPACE"
	roleVariable  = "SDP_TEST_MOUNT_ROLE"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, m))
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(childVariable) != "" {
		letGo()
		os.Exit(m.Run())
	}
	os.Exit(again())
}

// letGo gives up this namespace's copies of the machine's devices and FUSE
// mounts: they would keep in use what other tests, and others, unmount.
func letGo() {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		panic(err)
	}
	for row := range strings.Lines(string(table)) {
		fields := strings.Fields(row)
		if strings.HasPrefix(fields[0], "/dev/loop") || fields[2] == "fuse" || strings.HasPrefix(fields[2], "fuse.") || (fields[2] == "overlay" && fields[1] != "/") {
			// One below another is gone with it: an error says nothing.
			_ = unix.Unmount(fields[1], unix.MNT_DETACH)
		}
	}
}

func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in a mount namespace:", err)
		return 1
	}
	return 0
}

// needRoot ends a test that cannot mount.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("SDP_SKIP_ROOT") == "1" {
		t.Skip("SDP_SKIP_ROOT=1: this test mounts file systems as root")
	}
	t.Fatal("this test mounts file systems: run it as root, or skip it with SDP_SKIP_ROOT=1")
}

// scratch returns a directory on a tmpfs of its own; all that is mounted below
// it goes with the test.
func scratch(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("", "mount-test-")
	must(t, err)
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() {
		must(t, unix.Unmount(dir, unix.MNT_DETACH))
		must(t, os.Remove(dir))
	})
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wants fails unless err is the sentinel, or nil where that is wanted.
func wants(t testing.TB, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) || sentinel == nil && err != nil {
		t.Fatalf("got error %v, want %v", err, sentinel)
	}
}

// loop is a loop device that goes away with the test, also with a killed one.
type loop struct {
	t       testing.TB
	device  *os.File
	backing *os.File
	path    string
}

func newLoop(t testing.TB, size int64, flags uint32) *loop {
	t.Helper()
	needRoot(t)
	backing, err := os.CreateTemp("", "mount-test-*.img")
	must(t, err)
	must(t, os.Remove(backing.Name()))
	must(t, backing.Truncate(size))
	l := attachLoop(t, backing, flags)
	t.Cleanup(func() { must(t, backing.Close()) })
	return l
}

// attachLoop takes a free loop device, as often as another process is faster.
func attachLoop(t testing.TB, backing *os.File, flags uint32) *loop {
	t.Helper()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	must(t, err)
	defer control.Close()
	for range 1000 {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		must(t, err)
		path := fmt.Sprintf("/dev/loop%d", n)
		device, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT) {
			continue
		}
		must(t, err)
		err = unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{
			Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: flags | unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			l := &loop{t: t, device: device, backing: backing, path: path}
			t.Cleanup(l.close)
			return l
		}
		must(t, device.Close())
		if !errors.Is(err, unix.EBUSY) {
			t.Fatal("configure", path, err)
		}
	}
	t.Fatal("no free loop device")
	return nil
}

func (l *loop) close() {
	if l.device != nil {
		must(l.t, l.device.Close())
		l.device = nil
	}
}

// grow makes the device size bytes large.
func (l *loop) grow(size int64) {
	must(l.t, l.backing.Truncate(size))
	must(l.t, unix.IoctlSetInt(int(l.device.Fd()), unix.LOOP_SET_CAPACITY, 0))
}

// golden returns a read-only device with an EROFS image that has files.
func golden(t testing.TB, files map[string][]byte) *loop {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	for name, data := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	image := filepath.Join(t.TempDir(), "golden.img")
	if out, err := exec.Command("mkfs.erofs", "-T0", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v: %s", err, out)
	}
	backing, err := os.Open(image)
	must(t, err)
	t.Cleanup(func() { must(t, backing.Close()) })
	return attachLoop(t, backing, unix.LO_FLAGS_READ_ONLY)
}

// formatted returns a writable device with an empty file system.
func formatted(t testing.TB, fsType string, size int64) *loop {
	t.Helper()
	l := newLoop(t, size, 0)
	must(t, NewHost().Format(t.Context(), l.path, fsType))
	return l
}

// mountsOn returns how often path is mounted.
func mountsOn(t testing.TB, path string) (n int) {
	t.Helper()
	rows, err := readTable()
	must(t, err)
	for _, r := range rows {
		if r.path == path {
			n++
		}
	}
	return n
}

func wantFile(t testing.TB, path string, want []byte) {
	t.Helper()
	have, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(have, want) {
		t.Fatalf("%s has %d bytes that are not what was written", path, len(have))
	}
}

// eventually waits for what the kernel, or another process, does in its time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not so after a minute:", what)
		}
	}
}

func publication(staging, target string, readOnly bool) volume.Publication {
	return volume.Publication{Staging: staging, Target: target, ReadOnly: readOnly}
}
