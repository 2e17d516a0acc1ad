// Registrar stands in for node-driver-registrar, which is no Go module that
// could be built here: it tells the kubelet of a CSI driver, with the flags
// that manifests give the real one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func main() {
	if err := run(); err != nil {
		log.Fatal("registrar: ", err)
	}
}

func run() error {
	address := flag.String("csi-address", "/run/csi/socket", "the driver's socket as it is seen here")
	path := flag.String("kubelet-registration-path", "", "the driver's socket as the kubelet sees it")
	plugins := flag.String("plugin-registration-path", "/registration", "the directory that the kubelet watches")
	timeout := flag.Duration("timeout", time.Minute, "how long to wait for the driver")
	flag.Int("v", 0, "how much to log: accepted, it changes nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	name, err := driverName(ctx, *address, *timeout)
	if err != nil {
		return err
	}
	return serve(ctx, filepath.Join(*plugins, name+"-reg.sock"), &registrar{name: name, path: *path})
}

// driverName asks the driver, and waits until it serves.
func driverName(ctx context.Context, address string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", fmt.Errorf("connect to %s: %w", address, err)
	}
	defer func() { _ = connection.Close() }()
	info, err := csi.NewIdentityClient(connection).GetPluginInfo(ctx, &csi.GetPluginInfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return "", fmt.Errorf("ask %s for its name: %w", address, err)
	}
	return info.GetName(), nil
}

// serve answers the kubelet until the context ends. The socket goes away with
// it: that is how the kubelet learns that the driver has gone.
func serve(ctx context.Context, socket string, r *registrar) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, r)
	context.AfterFunc(ctx, server.Stop)
	log.Print("registrar: serve ", socket)
	return server.Serve(listener)
}

// registrar is the kubelet's registration service for one driver.
type registrar struct {
	registration.UnimplementedRegistrationServer

	name, path string
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              r.name,
		Endpoint:          r.path,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

// NotifyRegistrationStatus ends the program where the kubelet refuses: started
// anew, it is asked again.
func (r *registrar) NotifyRegistrationStatus(_ context.Context, s *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !s.GetPluginRegistered() {
		log.Fatal("registrar: the kubelet refuses ", r.name, ": ", s.GetError())
	}
	log.Print("registrar: the kubelet has ", r.name)
	return &registration.RegistrationStatusResponse{}, nil
}
