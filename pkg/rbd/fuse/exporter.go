package fuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// start starts the exporter of m and waits until its file is there. As long as
// the returned connection is open, the exporter stays without a device.
func (f *Mapper) start(ctx context.Context, s spot, m rbd.Mapping, c volume.Credentials) (net.Conn, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	process, err := f.launch(s, theirs, !m.ReadOnly)
	_ = theirs.Close()
	if err == nil {
		err = f.agree(ctx, s, process, func() error { return ask(ctx, ours, m, c) })
	}
	if err != nil {
		_ = ours.Close()
		return nil, err
	}
	return ours, nil
}

// agree waits for the exporter's word. One that has not spoken in time is
// killed here, where it is certainly ours; one that refused ends by itself.
func (f *Mapper) agree(ctx context.Context, s spot, process *os.Process, talk func() error) error {
	err := talk()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		_ = process.Kill()
		return fmt.Errorf("the exporter has not answered: %w: %w", context.Cause(ctx), volume.ErrUnavailable)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the exporter has ended (%s): %w", lastWords(s.log()), err)
	}
	return err
}

// socketPair returns our end, and the end for a child.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w: %w", err, volume.ErrUnavailable)
	}
	own, theirs := os.NewFile(uintptr(fds[0]), "exporter"), os.NewFile(uintptr(fds[1]), "mapper")
	defer own.Close()
	ours, err := net.FileConn(own)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, fmt.Errorf("make a socket pair: %w: %w", err, volume.ErrUnavailable)
	}
	return ours, theirs, nil
}

// launch starts an exporter with a session, a log and an environment of its
// own: nothing of the driver's reaches it but the socket.
func (f *Mapper) launch(s spot, control *os.File, writer bool) (*os.Process, error) {
	out, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the exporter's log: %w: %w", err, volume.ErrUnavailable)
	}
	defer out.Close()
	c := exec.Command(f.options.Program, s.dir)
	c.Dir, c.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
	c.Stdout, c.Stderr, c.ExtraFiles = out, out, []*os.File{control}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	begin := c.Start
	if writer {
		begin = func() error { return asFlusher(c.Start) }
	}
	if err := begin(); err != nil {
		return nil, fmt.Errorf("start %s: %w: %w", f.options.Program, err, volume.ErrUnavailable)
	}
	// Whether it has ended is asked of the kernel; here it is only reaped.
	go func() { _ = c.Wait() }()
	return c.Process, nil
}

// asFlusher starts a process that the kernel never makes wait for dirty pages
// to be written: it is the one that writes them. The state is a thread's and
// is inherited (prctl(2), PR_SET_IO_FLUSHER); without CAP_SYS_RESOURCE it is
// done without.
func asFlusher(start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_IO_FLUSHER, 1, 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_IO_FLUSHER, 0, 0, 0, 0) }()
	}
	return start()
}

// ask sends the request and waits for the reply, until ctx ends.
func ask(ctx context.Context, exporter net.Conn, m rbd.Mapping, c volume.Credentials) error {
	defer context.AfterFunc(ctx, func() { _ = exporter.SetDeadline(time.Unix(1, 0)) })()
	deadline, _ := ctx.Deadline()
	request := wire.Request{Mapping: m, User: c.User, Key: c.Key.Reveal(), Timeout: time.Until(deadline)}
	if err := wire.Send(exporter, request); err != nil {
		return err
	}
	var reply wire.Reply
	if err := wire.Receive(exporter, &reply); err != nil {
		return err
	}
	return reply.Err()
}

// lastWords returns the end of an exporter's log, in one line.
func lastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return "it has said nothing"
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return fmt.Sprintf("%.300s", lines[len(lines)-1])
}
