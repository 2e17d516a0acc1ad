//go:build krbd

package krbd

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// patience bounds the machine's life; it needs a minute or two.
const patience = 15 * time.Minute

// machine is a virtual machine that hack/krbd has prepared: SDP_KRBD_VM names
// the directory with vmlinuz and initramfs.
type machine struct {
	dir string // vmlinuz, initramfs
	run string // what this run makes
}

// TestKernelMapper boots the machine with a scene and demands that every check
// inside passes.
func TestKernelMapper(t *testing.T) {
	dir := os.Getenv("SDP_KRBD_VM")
	if dir == "" {
		t.Fatal("SDP_KRBD_VM names no virtual machine: run make test-krbd")
	}
	m := machine{dir: dir, run: t.TempDir()}
	m.give(t, newScene(t, realceph.New(t)))
	out := m.boot(t)
	t.Log("\n" + out)
	passed := regexp.MustCompile(`(?m)^ *--- PASS: `).FindAllString(out, -1)
	switch {
	case !strings.Contains(out, "\nPASS\n") || !strings.HasSuffix(out, "\nexit 0\n"):
		t.Fatal("the checks inside the virtual machine did not all pass")
	case strings.Contains(out, "--- SKIP"):
		t.Fatal("a check inside the virtual machine was skipped")
	}
	t.Logf("%d checks passed", len(passed))
}

// give makes the machine's initial file system: the prepared one and, as a
// second archive behind it, the scene.
func (m machine) give(t *testing.T, s scene.Scene) {
	t.Helper()
	if err := s.Write(filepath.Join(m.run, "scene.json")); err != nil {
		t.Fatal(err)
	}
	cpio := exec.CommandContext(t.Context(), "cpio", "--quiet", "-o", "-H", "newc", "-O", "scene.cpio")
	cpio.Dir, cpio.Stdin = m.run, strings.NewReader("scene.json\n")
	if out, err := cpio.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	whole, err := os.Create(filepath.Join(m.run, "initramfs"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	for _, part := range []string{filepath.Join(m.dir, "initramfs"), filepath.Join(m.run, "scene.cpio")} {
		if err := appendFile(whole, part); err != nil {
			t.Fatal(err)
		}
	}
}

func appendFile(to io.Writer, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}

// boot runs the machine until it switches itself off and returns what the
// payload said. The kernel's console is shown when that is not the whole story.
func (m machine) boot(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	console, payload := filepath.Join(m.run, "console"), filepath.Join(m.run, "payload")
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(m.dir, "vmlinuz"), "-initrd", filepath.Join(m.run, "initramfs"),
		"-append", "console=ttyS0 quiet loglevel=5 panic=-1",
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
		"-serial", "file:"+console, "-serial", "file:"+payload)
	said, err := qemu.CombinedOutput()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(err, errors.New("the virtual machine hung"))
	}
	out, readErr := os.ReadFile(payload)
	text := strings.ReplaceAll(string(out), "\r\n", "\n")
	if err = errors.Join(err, readErr); err != nil || !strings.HasSuffix(text, "\nexit 0\n") {
		kernel, _ := os.ReadFile(console)
		t.Errorf("QEMU: %v: %s\n--- the kernel's console\n%s", err, said, kernel)
	}
	return text
}
