package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// binDir names the variable with the directory of built programs.
const binDir = "SDP_BIN"

// Program returns the path of one of the project's programs (sdp-csi, sdpctl,
// sdp-export): from the directory SDP_BIN, or built for this test.
func Program(t testing.TB, name string) string {
	t.Helper()
	if dir := os.Getenv(binDir); dir != "" {
		return filepath.Join(dir, name)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := build(name, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Driver is a running sdp-csi and a connection to it.
type Driver struct {
	Conn   *grpc.ClientConn
	cmd    *exec.Cmd
	log    *journal
	killed bool
}

// Start starts sdp-csi and waits until its probe is ready. It ends with the
// test, and its log is shown when the test fails.
func Start(t testing.TB, mode, policyFile string, args ...string) *Driver {
	t.Helper()
	// Not t.TempDir(): a socket's path must stay below 108 bytes.
	dir, err := os.MkdirTemp("", "sdp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	endpoint := "unix://" + filepath.Join(dir, "csi.sock")
	d := &Driver{log: &journal{}}
	d.cmd = exec.Command(Program(t, "sdp-csi"), append([]string{"--mode=" + mode, "--endpoint=" + endpoint, "--config=" + policyFile}, args...)...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	if d.Conn, err = grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Conn.Close() }) // a killed one's is closed already
	if err := d.ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Driver) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := csi.NewIdentityClient(d.Conn).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true))
		if err == nil && r.GetReady().GetValue() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the driver is not ready after a minute: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Kill ends the process as kill -9 does. What it made in the kernel stays.
func (d *Driver) Kill(t testing.TB) {
	t.Helper()
	d.killed = true
	if err := d.cmd.Process.Kill(); err != nil {
		t.Errorf("kill the driver: %v", err)
	}
	_ = d.cmd.Wait() // it was killed, which is what the error says
	if err := d.Conn.Close(); err != nil {
		t.Errorf("leave the killed driver: %v", err)
	}
}

func (d *Driver) stop(t testing.TB) {
	if d.killed {
		d.showLog(t)
		return
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("end the driver: %v", err)
	}
	force := time.AfterFunc(time.Minute, func() { _ = d.cmd.Process.Kill() })
	defer force.Stop()
	err := d.cmd.Wait()
	if err != nil {
		t.Errorf("the driver ended with: %v", err)
	}
	d.showLog(t)
}

func (d *Driver) showLog(t testing.TB) {
	if t.Failed() {
		t.Logf("the driver's log:\n%s", d.log)
	}
}

// Log returns what the process has said so far.
func (d *Driver) Log() string { return d.log.String() }

// journal is what a process says; it can be read while it runs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Resident returns the bytes of memory that the process holds (VmRSS of
// /proc/PID/status).
func (d *Driver) Resident() (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", d.cmd.Process.Pid)
}
