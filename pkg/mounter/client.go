package mounter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Client is a Starter that has a Server start the programs.
type Client struct{ socket string }

// NewClient returns a client of the server on that socket, which is looked for
// at each start.
func NewClient(socket string) *Client { return &Client{socket: socket} }

// Has implements Starter. What the server has is not known before a start.
func (c *Client) Has(string) error { return nil }

// Start implements Starter. One that is given up ends what it may have
// started.
func (c *Client) Start(ctx context.Context, o Order) (Process, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Program, err)
	}
	p := &distant{program: o.Program, conn: conn}
	if err := p.begin(ctx, o); err != nil {
		_ = p.Kill()
		p.Close()
		return nil, fmt.Errorf("start %s: %w", o.Program, err)
	}
	return p, nil
}

func (c *Client) dial(ctx context.Context) (*net.UnixConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unixpacket", c.socket)
	if err != nil {
		return nil, fmt.Errorf("reach the mounter (does DaemonSet sdp-mounter have a running pod on this node?): %w: %w", err, volume.ErrUnavailable)
	}
	server := conn.(*net.UnixConn)
	if err := checkPeer(server); err != nil {
		_ = server.Close()
		return nil, err
	}
	return server, nil
}

// distant is a program that a server has started.
type distant struct {
	program    string
	conn       *net.UnixConn
	id         int
	descriptor *os.File // its process; nil where it had ended at once
}

// begin sends the order and waits for the reply.
func (p *distant) begin(ctx context.Context, o Order) error {
	defer p.until(ctx)()
	wish := request{Program: o.Program, Arguments: o.Arguments, Label: o.Label, Flusher: o.Flusher}
	if err := send(p.conn, wish, append([]*os.File{o.Output}, o.Files...)...); err != nil {
		return err
	}
	var r reply
	files, err := receive(p.conn, &r)
	if err != nil {
		return p.told(ctx, err)
	}
	if len(files) > 0 {
		p.descriptor = files[0]
		closeAll(files[1:])
	}
	p.id = r.PID
	return r.err()
}

// until lets the connection's calls end with ctx, and in their own time after
// the returned function was called.
func (p *distant) until(ctx context.Context) (stop func()) {
	_ = p.conn.SetDeadline(time.Time{})
	done := make(chan struct{})
	unneeded := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = p.conn.SetDeadline(time.Unix(1, 0))
	})
	return func() {
		if !unneeded() {
			<-done
		}
		_ = p.conn.SetDeadline(time.Time{})
	}
}

// told explains why nothing was heard.
func (p *distant) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return unanswered(ctx, p.program)
	}
	return fmt.Errorf("the mounter has ended: %w", err)
}

func (p *distant) ID() int { return p.id }

func (p *distant) Wait(ctx context.Context) error {
	defer p.until(ctx)()
	var e ending
	files, err := receive(p.conn, &e)
	if err != nil {
		return p.told(ctx, err)
	}
	closeAll(files)
	if e.How == "" {
		return nil
	}
	return ended(p.program, errors.New(e.How))
}

// Kill asks the server, which alone can tell the program's session from a later
// one of the same number. Without it, the program itself has to do.
func (p *distant) Kill() error {
	_ = p.conn.SetDeadline(time.Now().Add(patience))
	if send(p.conn, kill{Kill: true}) == nil || p.descriptor == nil {
		return nil
	}
	err := unix.PidfdSendSignal(int(p.descriptor.Fd()), unix.SIGKILL, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %s: %w: %w", p.program, err, volume.ErrUnavailable)
	}
	return nil
}

func (p *distant) Close() {
	_ = p.conn.Close()
	if p.descriptor != nil {
		_ = p.descriptor.Close()
	}
}
