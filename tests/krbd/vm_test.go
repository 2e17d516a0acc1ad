//go:build krbd

package krbd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
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
	d := newDirector(t, realceph.New(t))
	m.give(t, d.scene)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := m.boot(ctx, d.answer)
	t.Log("\n" + out)
	passed := regexp.MustCompile(`(?m)^ *--- PASS: `).FindAllString(out, -1)
	switch {
	case err != nil:
		t.Fatal(err)
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

// boot runs the machine until it switches itself off, and returns what the
// payload said. When that is not all, the error has what the kernel said.
func (m machine) boot(ctx context.Context, answer func(verb, volume string) string) (string, error) {
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(m.dir, "vmlinuz"), "-initrd", filepath.Join(m.run, "initramfs"),
		"-append", "console=ttyS0 quiet loglevel=5 panic=-1",
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
		"-serial", "file:"+filepath.Join(m.run, "console"),
		"-chardev", "stdio,id=payload,signal=off", "-serial", "chardev:payload")
	var complaints bytes.Buffer
	qemu.Stderr = &complaints
	in, inErr := qemu.StdinPipe()
	out, outErr := qemu.StdoutPipe()
	if err := errors.Join(inErr, outErr, qemu.Start()); err != nil {
		return "", err
	}
	said, err := converse(out, in, answer)
	err = errors.Join(err, qemu.Wait())
	switch {
	case ctx.Err() != nil:
		err = errors.Join(err, errors.New("the virtual machine hung"))
	case err == nil && strings.Contains(said, "\nexit "):
		return said, nil
	case err == nil:
		err = errors.New("the payload did not end")
	}
	kernel, _ := os.ReadFile(filepath.Join(m.run, "console"))
	return said, fmt.Errorf("QEMU: %w: %s\n--- the kernel's console\n%s", err, &complaints, kernel)
}

// converse reads what the payload says to its end and answers what it asks.
func converse(from io.Reader, to io.Writer, answer func(verb, volume string) string) (string, error) {
	var said strings.Builder
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		said.WriteString(line + "\n")
		question, asks := strings.CutPrefix(line, scene.Ask)
		if !asks {
			continue
		}
		verb, volume, _ := strings.Cut(question, " ")
		if _, err := io.WriteString(to, answer(verb, volume)+"\n"); err != nil {
			return said.String(), err
		}
	}
	return said.String(), lines.Err()
}
