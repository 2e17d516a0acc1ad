package mounter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Server starts programs for the driver that reaches its socket. It keeps
// nothing: what it has started the kernel shows.
type Server struct {
	starter  Local
	stateDir string
	running  atomic.Int64
}

// NewServer returns a server whose programs mount below stateDir, an absolute
// path without detours.
func NewServer(starter Local, stateDir string) *Server {
	return &Server{starter: starter, stateDir: stateDir}
}

// Running returns how many programs of this server's run.
func (s *Server) Running() int64 { return s.running.Load() }

const (
	// patience bounds what the other side of a connection may take for a message.
	patience = 10 * time.Second
	// acceptPause comes after a connection that could not be had. To give up
	// would take all programs along.
	acceptPause = time.Second
)

// Serve answers on a unix socket at path until ctx ends. Programs go on, unless
// a container's end takes them along. A socket that a killed server left is
// replaced; one that is served wraps volume.ErrInUse.
func (s *Server) Serve(ctx context.Context, path string) error {
	listener, err := listen(path)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	log := klog.FromContext(ctx)
	log.Info("starting programs for the driver", "socket", path, "stateDir", s.stateDir)
	for {
		conn, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			log.Info("stopping", "programs", s.Running())
			return nil
		}
		if err != nil {
			log.Error(err, "accept a connection")
			time.Sleep(acceptPause)
			continue
		}
		go s.answer(log, conn)
	}
}

func listen(path string) (*net.UnixListener, error) {
	if err := clearStale(path); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	// Who connects before is refused by checkPeer.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("keep others from %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	return listener, nil
}

// clearStale removes a dead server's socket, and nothing else.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and no socket: %w", path, volume.ErrInvalid)
	}
	if conn, err := net.DialTimeout("unixpacket", path, time.Second); err == nil {
		_ = conn.Close()
		return fmt.Errorf("another mounter serves %s: %w", path, volume.ErrInUse)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old socket: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// answer serves one connection. A fault of ours must not end the programs of
// all others.
func (s *Server) answer(log klog.Logger, conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	defer func() {
		if fault := recover(); fault != nil {
			log.Error(nil, "a connection met a fault of the mounter", "fault", fault)
		}
	}()
	p, err := s.begin(conn)
	if errors.Is(err, io.EOF) {
		return // somebody looks whether the socket is served
	}
	if err != nil {
		log.Error(err, "refuse to start a program")
		_ = send(conn, refuse(err))
		return
	}
	log.Info("started", "program", p.program, "pid", p.ID())
	s.follow(conn, p)
}

// begin hears an order and obeys it.
func (s *Server) begin(conn *net.UnixConn) (*child, error) {
	if err := checkPeer(conn); err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, fmt.Errorf("bound a connection: %w: %w", err, volume.ErrUnavailable)
	}
	var r request
	files, err := receive(conn, &r)
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	if len(files) == 0 {
		return nil, fmt.Errorf("a request without files: %w", volume.ErrInvalid)
	}
	o := Order{Program: r.Program, Arguments: r.Arguments, Label: r.Label, Flusher: r.Flusher, Output: files[0], Files: files[1:]}
	if err := o.Check(s.stateDir); err != nil {
		return nil, err
	}
	return s.start(o)
}

func (s *Server) start(o Order) (*child, error) {
	p, err := s.starter.start(o)
	if err != nil {
		return nil, err
	}
	s.running.Add(1)
	go func() {
		<-p.gone
		s.running.Add(-1)
	}()
	return p, nil
}

// follow tells the other side how the program fares, as long as it listens.
func (s *Server) follow(conn *net.UnixConn, p *child) {
	descriptor, err := p.descriptor()
	if err != nil {
		_ = send(conn, refuse(errors.Join(err, p.Kill())))
		return
	}
	var files []*os.File
	if descriptor != nil {
		defer descriptor.Close()
		files = append(files, descriptor)
	}
	if send(conn, reply{PID: p.ID()}, files...) != nil {
		// The order's words are kept, the killer's too.
		heed(conn, p)
		return
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		heed(conn, p)
	}()
	select {
	case <-p.gone:
		_ = send(conn, ending{How: words(p.err)})
	case <-left:
	}
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// heed kills the program as often as it is told to, until the other side goes.
func heed(conn *net.UnixConn, p *child) {
	_ = conn.SetDeadline(time.Time{})
	for {
		var k kill
		files, err := receive(conn, &k)
		if err != nil {
			return
		}
		closeAll(files)
		if k.Kill {
			_ = p.Kill()
		}
	}
}
