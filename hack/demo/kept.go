package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// kept is what -end has to know of a demo that was left running.
type kept struct {
	Controller int               `json:"controller"` // number of the process
	Node       int               `json:"node"`
	Volumes    map[string]string `json:"volumes"` // of a function: ID
}

// keptFile is in the demo's directory.
const keptFile = "kept.json"

// explain notes what is left running, and says how to look around and to end it.
func (d *demo) explain() error {
	k := kept{d.node.controller.Process.Pid, d.node.process.Process.Pid, map[string]string{}}
	for _, f := range d.functions {
		k.Volumes[f.name] = f.volume
	}
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(d.dir, keptFile), text, 0o600); err != nil {
		return err
	}
	fmt.Printf(`
Everything is left running. To look around:
  ceph -c %[1]s/ceph.conf -s
  %[5]s
  %[2]s --config %[3]s golden list --tenant acme
  %[2]s --config %[3]s volume list --tenant acme
  %[2]s node status --state-dir %[4]s/state
  findmnt | grep %[4]s
  less %[4]s/controller.log %[4]s/node.log
The functions see their model at:
`, d.ceph, d.bin("sdpctl"), d.policy, d.dir, d.inside())
	for _, f := range d.functions {
		fmt.Println("  " + f.target)
	}
	fmt.Printf("To end it:\n  %s -repo=%s -end -dir=%s\n", d.bin("demo"), d.repo, d.dir)
	return nil
}

// inside is a command that shows what the tenant has in Ceph.
func (d *demo) inside() string {
	if d.backend == cephfs {
		return fmt.Sprintf("ceph -c %s/ceph.conf fs subvolume ls %s acme", d.ceph, fileSystem)
	}
	return fmt.Sprintf("rbd -c %s/ceph.conf ls %s/acme", d.ceph, pool)
}

// endKept takes down what -keep left, in the order of an undo.
func endKept(s settings) (err error) {
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(s.dir, keptFile))
	if err != nil {
		return fmt.Errorf("-dir has no demo that was left running: %w", err)
	}
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("read %s: %w", keptFile, err)
	}
	conn, err := grpc.NewClient("unix://"+filepath.Join(s.dir, "node.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	d := &demo{settings: s, ceph: filepath.Join(s.dir, "ceph"), node: &node{mounts: csi.NewNodeClient(conn)}}
	d.onUndo(d.stopCeph)
	for _, pid := range []int{k.Controller, k.Node} {
		d.onUndo(func(ctx context.Context) error { return d.stopKept(ctx, pid) })
	}
	for name, id := range k.Volumes {
		f := d.function(name)
		f.volume = id
		d.onUndo(func(ctx context.Context) error { return d.hide(ctx, f) })
	}
	return d.undo()
}

// stopKept ends a driver that another process started.
func (d *demo) stopKept(ctx context.Context, pid int) error {
	if !d.runs(pid) {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the driver, process %d: %w", pid, err)
	}
	for d.runs(pid) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the driver, process %d, does not end: %w", pid, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// runs says whether a process of this demo has the number; the kernel may have
// given it to another one since.
func (d *demo) runs(pid int) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.Contains(string(line), d.dir+"/")
}
