package mount

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The roles of children: what they do until they are killed, or done.
const (
	roleStorm = "storm" // publishes and unpublishes for ever
	roleOld   = "old"   // runs tests on a kernel that lacks the mount API

	stagingVariable = "SDP_TEST_MOUNT_STAGING"
	targetVariable  = "SDP_TEST_MOUNT_TARGET"
)

// child runs the test binary in a role, in this process's namespace.
func child(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// The same tests on a kernel without the mount API.
func TestOlderKernel(t *testing.T) {
	needRoot(t)
	cmd := child(roleOld, "-test.v", "-test.run=^(TestPublish(Shows|ReadOnly|Many|Block|Has|IsPrivate).*|TestHalfDone.*|TestMount.*|TestOverlay.*|TestGrow.*)$")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: TestPublishReadOnlyOverWritable")) {
		t.Fatalf("no tests were run:\n%s", out)
	}
}

// A driver that is killed at any instant leaves what the next one converges
// from.
func TestPublishKilled(t *testing.T) {
	w := newWorld(t)
	target := w.target("p")
	random := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		cmd := child(roleStorm)
		cmd.Env = append(cmd.Env, stagingVariable+"="+w.ext4, targetVariable+"="+target)
		var said bytes.Buffer
		cmd.Stderr = &said
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		_, err = stdout.Read(make([]byte, 1)) // it has begun
		must(t, err)
		time.Sleep(time.Duration(random.IntN(5_000)) * time.Microsecond)
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if said.Len() > 0 {
			t.Fatalf("the child failed: %s", said.Bytes())
		}
		must(t, w.Publish(t.Context(), publication(w.ext4, target, true)))
		wants(t, os.WriteFile(filepath.Join(target, "x"), nil, 0o600), unix.EROFS)
		if n := mountsOn(t, target); n != 1 {
			t.Fatalf("%d mounts, want 1", n)
		}
	}
	must(t, w.Unpublish(t.Context(), target))
	wants(t, exists(target), os.ErrNotExist)
}

func play(role string, m *testing.M) int {
	switch role {
	case roleStorm:
		return storm(os.Getenv(stagingVariable), os.Getenv(targetVariable))
	case roleOld:
		if err := forget(unix.SYS_FSOPEN, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR); err != nil {
			fmt.Fprintln(os.Stderr, "filter system calls:", err)
			return 1
		}
		return m.Run()
	}
	fmt.Fprintln(os.Stderr, "unknown role", role)
	return 1
}

func storm(staging, target string) int {
	h, ctx := NewHost(), context.Background()
	fmt.Print("begun")
	for {
		if err := h.Publish(ctx, publication(staging, target, true)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if err := h.Unpublish(ctx, target); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// forget makes the kernel not know system calls any more, for all threads of
// this process: what an older kernel, or a strict container, answers.
func forget(numbers ...uint32) error {
	const load, equal, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load, K: 0}}
	for i, n := range numbers {
		program = append(program, unix.SockFilter{Code: equal, Jt: uint8(len(numbers) - i), K: n})
	}
	program = append(program,
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return errno
	}
	return nil
}

func mincore(data, pages []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return errno
	}
	return nil
}
