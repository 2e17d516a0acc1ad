package tenants

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
)

// server is a driver behind its socket.
type server struct {
	controller csi.ControllerClient
	node       csi.NodeClient
}

func serve(t *testing.T, c *driver.Controller, n *driver.Node) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	endpoint := "unix://" + filepath.Join(t.TempDir(), "s")
	s := &driver.Server{
		Identity: driver.NewIdentity("test", true, func(context.Context) error { return nil }), Controller: c, Node: n,
		Metrics: driver.NewMetrics(prometheus.NewRegistry()),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, endpoint) }()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &server{controller: csi.NewControllerClient(conn), node: csi.NewNodeClient(conn)}
}

func codeOf(err error) codes.Code { return status.Code(err) }
