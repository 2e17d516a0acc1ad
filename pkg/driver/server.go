package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Server serves CSI on a unix socket.
type Server struct {
	Identity   *Identity
	Controller *Controller // nil: not served
	Node       *Node       // nil: not served
	Metrics    *Metrics
}

// stopGrace bounds how long running calls may take to end at a stop. What they
// began is finished or undone by their retries.
const stopGrace = 20 * time.Second

// Serve answers calls on endpoint (unix:///path) until ctx ends, then lets
// running calls end. A socket that a killed driver left is replaced.
func (s *Server) Serve(ctx context.Context, endpoint string) error {
	listener, err := listen(endpoint)
	if err != nil {
		return err
	}
	log := klog.FromContext(ctx)
	server := grpc.NewServer(grpc.UnaryInterceptor(intercept(log, s.Metrics)))
	csi.RegisterIdentityServer(server, s.Identity)
	if s.Controller != nil {
		csi.RegisterControllerServer(server, s.Controller)
	}
	if s.Node != nil {
		csi.RegisterNodeServer(server, s.Node)
	}
	detach := context.AfterFunc(ctx, func() { shutDown(server) })
	defer detach()
	log.Info("serving", "endpoint", endpoint)
	err = server.Serve(listener)
	s.drain()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve %s: %w", endpoint, err)
	}
	return nil
}

func shutDown(server *grpc.Server) {
	force := time.AfterFunc(stopGrace, server.Stop)
	defer force.Stop()
	server.GracefulStop()
}

// drain lets operations end whose callers have gone, so that a stop leaves
// nothing half made.
func (s *Server) drain() {
	patience, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if s.Controller != nil {
		s.Controller.busy.drain(patience)
	}
	if s.Node != nil {
		s.Node.busy.drain(patience)
	}
}

// CheckEndpoint says why a driver cannot serve on endpoint, before it begins
// anything: another one does (volume.ErrInUse), or it is no socket's path.
func CheckEndpoint(endpoint string) error {
	_, err := socketPath(endpoint)
	return err
}

// socketPath returns the path of an endpoint that nobody serves.
func socketPath(endpoint string) (string, error) {
	path, ok := strings.CutPrefix(endpoint, "unix://")
	if !ok || !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("endpoint %q is not unix:///absolute/path: %w", endpoint, volume.ErrInvalid)
	}
	return path, refuseLive(path)
}

func listen(endpoint string) (net.Listener, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return listener, nil
}

// refuseLive keeps a second driver from taking a running one's socket, and
// from removing a file that is no socket.
func refuseLive(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and no socket: %w", path, volume.ErrInvalid)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil //nolint:nilerr // nobody answers: it is a dead driver's socket
	}
	conn.Close()
	return fmt.Errorf("another driver serves %s: %w", path, volume.ErrInUse)
}
