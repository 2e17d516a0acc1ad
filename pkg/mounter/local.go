package mounter

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Local is a Starter that starts the programs as children of this process.
type Local struct {
	// Paths names programs that are elsewhere than beside this program or in
	// PATH.
	Paths map[string]string
}

// Has implements Starter.
func (l Local) Has(program string) error {
	if _, err := exec.LookPath(l.path(program)); err != nil {
		return fmt.Errorf("find %s: %w: %w", program, err, volume.ErrUnsupported)
	}
	return nil
}

// path is where a program is. One of the project is installed with the others.
func (l Local) path(program string) string {
	if path := l.Paths[program]; path != "" {
		return path
	}
	own, err := os.Executable()
	if err != nil {
		return program
	}
	path := filepath.Join(filepath.Dir(own), program)
	if _, err := os.Stat(path); err != nil {
		return program
	}
	return path
}

// Start implements Starter.
func (l Local) Start(ctx context.Context, o Order) (Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w: %w", o.Program, context.Cause(ctx), volume.ErrUnavailable)
	}
	p, err := l.start(o)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (l Local) start(o Order) (*child, error) {
	c := exec.Command(l.path(o.Program), o.Arguments...)
	c.Dir, c.Env = "/", o.environment()
	c.Stdout, c.Stderr, c.ExtraFiles = o.Output, o.Output, o.Files
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	begin := c.Start
	if o.Flusher {
		begin = func() error { return asFlusher(c.Start) }
	}
	if err := begin(); err != nil {
		return nil, fmt.Errorf("start %s: %w: %w", o.Program, err, volume.ErrUnavailable)
	}
	p := &child{program: o.Program, command: c, gone: make(chan struct{})}
	go p.reap()
	return p, nil
}

func (o Order) environment() []string {
	env := append([]string{"PATH=" + os.Getenv("PATH")}, allocation(o.Program)...)
	if o.Label != "" {
		env = append(env, Variable+"="+o.Label)
	}
	return env
}

// allocation are a program's variables for malloc(3). ceph-fuse gets each answer
// of an OSD in a buffer of its own, of megabytes: by default that is memory which
// the kernel has to clear and map each time, a fifth of all that it computes.
func allocation(program string) []string {
	if program != CephFUSE {
		return nil
	}
	return []string{"MALLOC_MMAP_THRESHOLD_=33554432", "MALLOC_TRIM_THRESHOLD_=67108864"}
}

// asFlusher starts a process as one that writes dirty pages. The state is a
// thread's and is inherited (prctl(2), PR_SET_IO_FLUSHER); without
// CAP_SYS_RESOURCE it is done without.
func asFlusher(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_IO_FLUSHER, 1, 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_IO_FLUSHER, 0, 0, 0, 0) }()
	}
	return start()
}

// child is a program that this process has started.
type child struct {
	program string
	command *exec.Cmd
	gone    chan struct{} // closed when it has ended
	err     error         // how it ended, once it has

	// Mutex keeps the program's number from becoming another's.
	sync.Mutex
	reaped bool
}

// reap waits for the program's end. Until it is reaped under the lock, its
// number, which is also its session's, is nobody else's.
func (p *child) reap() {
	defer close(p.gone)
	for unix.Waitid(unix.P_PID, p.ID(), nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.Lock()
	defer p.Unlock()
	p.err, p.reaped = p.command.Wait(), true
}

func (p *child) ID() int { return p.command.Process.Pid }

func (p *child) Wait(ctx context.Context) error {
	select {
	case <-p.gone:
		return ended(p.program, p.err)
	case <-ctx.Done():
		return unanswered(ctx, p.program)
	}
}

func ended(program string, how error) error {
	if how == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", program, how, volume.ErrUnavailable)
}

func unanswered(ctx context.Context, program string) error {
	return fmt.Errorf("%s has not answered: %w: %w", program, context.Cause(ctx), volume.ErrUnavailable)
}

func (p *child) Kill() error {
	p.Lock()
	defer p.Unlock()
	if p.reaped {
		return nil
	}
	if err := unix.Kill(-p.ID(), unix.SIGKILL); err != nil {
		return fmt.Errorf("kill %s: %w: %w", p.program, err, volume.ErrUnavailable)
	}
	return nil
}

// descriptor returns one that stays this program's also when its number has
// become another's; nil once it has ended.
func (p *child) descriptor() (*os.File, error) {
	p.Lock()
	defer p.Unlock()
	if p.reaped {
		return nil, nil
	}
	fd, err := unix.PidfdOpen(p.ID(), 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w: %w", p.ID(), err, volume.ErrUnavailable)
	}
	return os.NewFile(uintptr(fd), p.program), nil
}

func (p *child) Close() {}
