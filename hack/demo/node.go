package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"sigs.k8s.io/yaml"
)

// node is the driver as this machine runs it: two processes and a client of
// each, as a CO would have them.
type node struct {
	controller *exec.Cmd
	process    *exec.Cmd
	volumes    csi.ControllerClient
	mounts     csi.NodeClient
	secrets    map[string]map[string]string // tenant → node-stage secret
}

// stopGrace bounds how long a driver may take to end.
const stopGrace = 30 * time.Second

func (d *demo) startDriver(ctx context.Context) error {
	d.node = &node{secrets: map[string]map[string]string{}}
	var err error
	for _, t := range []string{"acme", "globex"} {
		if d.node.secrets[t], err = d.secret(ctx, t); err != nil {
			return err
		}
	}
	conn, cmd, err := d.startProcess("controller", "--metrics-address=")
	if err != nil {
		return err
	}
	d.node.controller, d.node.volumes = cmd, csi.NewControllerClient(conn)
	if err := d.ready(ctx, conn); err != nil {
		return err
	}
	conn, cmd, err = d.startProcess("node", "--node-id=demo", "--golden-linger=0s", "--state-dir="+filepath.Join(d.dir, "state"), "--metrics-address=")
	if err != nil {
		return err
	}
	d.node.process, d.node.mounts = cmd, csi.NewNodeClient(conn)
	return d.ready(ctx, conn)
}

// startProcess starts one sdp-csi, with its log in a file of its own.
func (d *demo) startProcess(mode string, args ...string) (*grpc.ClientConn, *exec.Cmd, error) {
	socket := "unix://" + filepath.Join(d.dir, mode+".sock")
	log, err := os.Create(filepath.Join(d.dir, mode+".log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command(d.bin("sdp-csi"), append([]string{"--mode=" + mode, "--endpoint=" + socket, "--config=" + d.policy, "-v=4"}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C is for the demo, which then ends the driver in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start the %s: %w", mode, err)
	}
	d.onUndo(func(context.Context) error { return stop(cmd) })
	conn, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return conn, cmd, err
}

// ready waits until the driver answers that it can work.
func (d *demo) ready(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		r, err := csi.NewIdentityClient(conn).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true))
		if err == nil && r.GetReady().GetValue() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the driver is not ready, see %s/*.log: %w", d.dir, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends a process in order, and by force only when that takes too long.
func stop(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	force := time.AfterFunc(stopGrace, func() { _ = cmd.Process.Kill() })
	defer force.Stop()
	return cmd.Wait()
}

// secret returns a tenant's node-stage secret, out of the Kubernetes manifest
// that sdpctl prints for the tenant's namespace.
func (d *demo) secret(ctx context.Context, tenant string) (map[string]string, error) {
	out, err := d.output(ctx, d.bin("sdpctl"), d.sdpctl("tenant", "secret", tenant, "--namespace", tenant)...)
	if err != nil {
		return nil, err
	}
	var manifest struct {
		StringData map[string]string `json:"stringData"`
	}
	if err := yaml.Unmarshal(out, &manifest); err != nil {
		// The document has a key in it: it is not shown.
		return nil, fmt.Errorf("the secret of tenant %s is no YAML", tenant)
	}
	return manifest.StringData, nil
}
