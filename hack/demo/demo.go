package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// demo is one run. What it makes it pushes on undos, which run backwards.
type demo struct {
	settings
	ceph      string // the directory of the throwaway Ceph
	policy    string // the policy file
	model     string // the original model.h5
	original  result // what the function says of it
	node      *node
	functions []*function
	table     table
	undos     []func(context.Context) error
}

const golden = "resnet50:v1"

// play runs the story. Each line is a row of the table.
func (d *demo) play(ctx context.Context) error {
	for _, act := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"start a one-node Ceph", d.startCeph},
		{"create the tenants acme and globex", d.createTenants},
		{"make the model " + bytes(d.size), d.makeModel},
		{"import it as golden acme/" + golden + " of backend " + d.backend, d.importGolden},
		{"start the driver, controller and node", d.startDriver},
	} {
		if err := d.step(ctx, act.name, act.do); err != nil {
			return err
		}
	}
	if err := d.runFunctions(ctx); err != nil {
		return err
	}
	if err := d.checkWalls(ctx); err != nil {
		return err
	}
	baked, err := d.runBaked(ctx)
	if err != nil {
		return err
	}
	return d.report(ctx, baked)
}

// step runs one act and notes how long it took.
func (d *demo) step(ctx context.Context, name string, do func(context.Context) error) error {
	fmt.Printf("==> %s\n", name)
	start := time.Now()
	if err := do(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	d.table.add(name, time.Since(start))
	return nil
}

func (d *demo) onUndo(f func(context.Context) error) { d.undos = append(d.undos, f) }

// undoPatience bounds each step of taking things down.
const undoPatience = 2 * time.Minute

// undo takes everything down, last first, and goes on after an error. Another
// Ctrl-C does not end it.
func (d *demo) undo() error {
	fmt.Println("==> clean up")
	var all []error
	for i := len(d.undos) - 1; i >= 0; i-- {
		ctx, cancel := context.WithTimeout(context.Background(), undoPatience)
		all = append(all, d.undos[i](ctx))
		cancel()
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("clean up: %w (left: %s)", err, d.dir)
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	fmt.Println("Nothing is left: no process, no mount, no device, no file.")
	return nil
}

// command runs one of the project's programs and shows what it prints. It is
// in a process group of its own, so Ctrl-C reaches it by the context alone, and
// what cleans up not at all.
func (d *demo) command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.repo, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return nil
}

// output is command for a program whose answer is wanted.
func (d *demo) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = d.repo, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return out, nil
}

func (d *demo) bin(name string) string { return filepath.Join(d.repo, "bin", name) }

func (d *demo) sdpctl(args ...string) []string {
	return append([]string{"--config", d.policy}, args...)
}
