package mount

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestInspect(t *testing.T) {
	const size = 1 << 20
	at := func(offset int, text string) []byte {
		b := make([]byte, size)
		copy(b[offset:], text)
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"blank":              {make([]byte, size), blank},
		"nothing at all":     {nil, blank},
		"tiny and blank":     {make([]byte, 100), blank},
		"tiny":               {[]byte("x"), unknownData},
		"xfs":                {at(0, "XFSB"), xfs},
		"unfinished xfs":     {append(append([]byte("XFSB"), make([]byte, 122)...), append([]byte{1}, make([]byte, size)...)...), unfinished + xfs},
		"ext4":               {at(1080, "\x53\xef"), ext4},
		"erofs":              {at(1024, "\xe2\xe1\xf5\xe0"), erofs},
		"btrfs":              {at(65536+64, "_BHRfS_M"), "btrfs"},
		"iso9660":            {at(32769, "CD001"), "iso9660"},
		"bcachefs":           {at(4120, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"), "bcachefs"},
		"partition table":    {at(510, "\x55\xaa"), unknownData},
		"LVM":                {at(512, "LABELONE"), unknownData},
		"LUKS":               {at(0, "LUKS\xba\xbe"), unknownData},
		"a byte in the head": {at(headSize-1, "x"), unknownData},
		"GPT copy at end":    {at(size-512, "EFI PART"), unknownData},
		"a byte in the tail": {at(size-tailSize, "x"), unknownData},
		"a rest of mkfs":     {at(headSize, "x"), blank},
	} {
		t.Run(name, func(t *testing.T) {
			kind, err := inspect(bytes.NewReader(c.data), int64(len(c.data)))
			must(t, err)
			if kind != c.want {
				t.Fatalf("got %q, want %q", kind, c.want)
			}
		})
	}
}

// failing is a device that does not answer.
type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, unix.EIO }

func TestInspectOfABrokenDevice(t *testing.T) {
	_, err := inspect(failing{}, 1<<20)
	wants(t, err, volume.ErrUnavailable)
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte("XFSB"), 0)
	f.Add([]byte("\x53\xef"), 1080)
	f.Add([]byte{0, 0, 1}, 70_000)
	f.Fuzz(func(t *testing.T, text []byte, offset int) {
		if offset < 0 || offset > 1<<20 {
			return
		}
		data := make([]byte, offset+len(text))
		copy(data[offset:], text)
		kind, err := inspect(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		head := data[:min(len(data), headSize)]
		if kind == blank && !isClear(head) {
			t.Fatal("content in the head was not seen")
		}
		if s, err := readExt4(bytes.NewReader(data)); err == nil {
			_ = s.fits(1 << 40)
		}
	})
}

func TestFormat(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for fsType, size := range map[string]int64{ext4: 32 << 20, xfs: 320 << 20} {
		t.Run(fsType, func(t *testing.T) {
			l, path := newLoop(t, size, 0), filepath.Join(dir, fsType)
			must(t, h.Format(t.Context(), l.path, fsType))
			must(t, h.Mount(t.Context(), l.path, path, fsType, false, nil))
			must(t, os.WriteFile(path+"/data", []byte("data"), 0o600))
			must(t, h.Unmount(t.Context(), path))
			must(t, h.Format(t.Context(), l.path, fsType))
			must(t, h.Mount(t.Context(), l.path, path, fsType, false, nil))
			wantFile(t, path+"/data", []byte("data"))
			must(t, h.Unmount(t.Context(), path))
			wants(t, h.Format(t.Context(), l.path, map[string]string{ext4: xfs, xfs: ext4}[fsType]), volume.ErrConflict)
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	h := NewHost()
	used := newLoop(t, 32<<20, 0)
	_, err := used.device.WriteAt([]byte("x"), 32<<20-1)
	must(t, err)
	for name, c := range map[string]struct {
		device, fsType string
		want           error
	}{
		"unknown content":      {used.path, ext4, volume.ErrConflict},
		"a golden":             {golden(t, nil).path, ext4, volume.ErrConflict},
		"read-only":            {newLoop(t, 32<<20, unix.LO_FLAGS_READ_ONLY).path, ext4, volume.ErrInvalid},
		"erofs":                {newLoop(t, 32<<20, 0).path, erofs, volume.ErrInvalid},
		"no device":            {"/dev/none", ext4, volume.ErrNotFound},
		"a character device":   {"/dev/zero", ext4, volume.ErrInvalid},
		"too small for an xfs": {newLoop(t, 1<<20, 0).path, xfs, volume.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) { wants(t, h.Format(t.Context(), c.device, c.fsType), c.want) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, h.Format(ctx, newLoop(t, 32<<20, 0).path, ext4), context.Canceled)
}

func TestFormatWithoutItsProgram(t *testing.T) {
	l := newLoop(t, 32<<20, 0)
	t.Setenv("PATH", t.TempDir())
	wants(t, NewHost().Format(t.Context(), l.path, ext4), volume.ErrUnsupported)
}

// Format is killed before its n-th write, for each n; the next one finishes.
func TestFormatKilledAtEachWrite(t *testing.T) {
	dir := scratch(t)
	for fsType, size := range map[string]int64{ext4: 300 << 20, xfs: 320 << 20} {
		t.Run(fsType, func(t *testing.T) {
			for n, done := 1, false; !done; n++ {
				l := newLoop(t, size, 0)
				args, err := mkfsCommand(l.path, fsType)
				must(t, err)
				done = runWrites(t, args, n)
				convergeFormat(t, l, fsType, dir)
			}
		})
	}
}

func convergeFormat(t *testing.T, l *loop, fsType, dir string) {
	t.Helper()
	h := NewHost()
	must(t, h.Format(t.Context(), l.path, fsType))
	must(t, h.Mount(t.Context(), l.path, dir+"/p", fsType, false, nil))
	must(t, os.WriteFile(dir+"/p/file", []byte("data"), 0o600))
	must(t, h.Unmount(t.Context(), dir+"/p"))
	check := map[string][]string{ext4: {"e2fsck", "-fn", l.path}, xfs: {"xfs_repair", "-n", l.path}}[fsType]
	if out, err := exec.Command(check[0], check[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", check, err, out)
	}
	l.close()
}

// runWrites runs a program and kills it as it begins its n-th write; true when
// it ended before.
func runWrites(t *testing.T, args []string, n int) (ended bool) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path, err := exec.LookPath(args[0])
	must(t, err)
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env: os.Environ(), Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	must(t, err)
	for entering, status := false, unix.WaitStatus(0); ; {
		_, err := unix.Wait4(pid, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		must(t, err)
		if status.Exited() || status.Signaled() {
			return true
		}
		if entering && isWrite(t, pid) {
			if n--; n == 0 {
				must(t, unix.Kill(pid, unix.SIGKILL))
				_, err := unix.Wait4(pid, &status, 0, nil)
				must(t, err)
				return false
			}
		}
		entering = !entering
		must(t, unix.PtraceSyscall(pid, 0))
	}
}

// isWrite says whether the program is in a system call that changes a device.
func isWrite(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "syscall"))
	must(t, err)
	number, _, _ := bytes.Cut(text, []byte(" "))
	for _, n := range []int{unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_PWRITEV, unix.SYS_FALLOCATE, unix.SYS_IOCTL, unix.SYS_FSYNC} {
		if string(number) == itoa(n) {
			return true
		}
	}
	return false
}
