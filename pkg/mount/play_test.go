package mount

import (
	"context"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The roles of children: what they do until they are killed, or done.
const (
	roleStorm = "storm" // publishes and unpublishes for ever
	roleOld   = "old"   // runs the tests of one name on an older kernel
)

func play(role string) int {
	switch role {
	case roleStorm:
		return storm(os.Getenv("SDP_TEST_STAGING"), os.Getenv("SDP_TEST_TARGET"))
	}
	fmt.Fprintln(os.Stderr, "unknown role", role)
	return 1
}

func storm(staging, target string) int {
	h, ctx := NewHost(), context.Background()
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
