package fuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
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
	process, err := f.launch(ctx, s, theirs, !m.ReadOnly)
	_ = theirs.Close()
	if err == nil {
		err = f.agree(ctx, s, process, func() error { return ask(ctx, ours, m, c) })
		process.Close()
	}
	if err != nil {
		_ = ours.Close()
		return nil, err
	}
	return ours, nil
}

// agree waits for the exporter's word. One that has not spoken in time is
// killed here, where it is certainly ours; one that refused ends by itself.
func (f *Mapper) agree(ctx context.Context, s spot, process mounter.Process, talk func() error) error {
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

// launch starts an exporter: nothing of the driver's reaches it but the socket.
// Whether it has ended is asked of the kernel.
func (f *Mapper) launch(ctx context.Context, s spot, control *os.File, writer bool) (mounter.Process, error) {
	out, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the exporter's log: %w: %w", err, volume.ErrUnavailable)
	}
	defer out.Close()
	return f.options.Starter.Start(ctx, mounter.Order{
		Program: mounter.Export, Arguments: []string{s.dir}, Flusher: writer,
		Output: out, Files: []*os.File{control},
	})
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
