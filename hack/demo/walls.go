package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// checkWalls shows what must be refused, and that the bytes are the original's.
func (d *demo) checkWalls(ctx context.Context) error {
	f := d.functions[0]
	for _, wall := range []struct {
		name string
		try  func(context.Context) error
	}{
		{"every function reads the original's sha256", d.checkDigests},
		{"a write to the volume is refused", func(context.Context) error { return d.tryWrite(f) }},
		{"globex cannot clone acme's golden", d.tryClone},
		{"globex cannot open acme's volume", func(ctx context.Context) error { return d.tryStage(ctx, f) }},
		{"a pod of globex cannot have acme's volume", func(ctx context.Context) error { return d.tryPublish(ctx, f) }},
	} {
		if err := d.step(ctx, wall.name, wall.try); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) checkDigests(ctx context.Context) error {
	for _, f := range d.functions {
		r, err := d.runFunction(ctx, filepath.Join(f.target, "model.h5"), "--digest")
		if err != nil {
			return err
		}
		if err := r.sameAs(d.original); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func (d *demo) tryWrite(f *function) error {
	err := os.WriteFile(filepath.Join(f.target, "intruder"), []byte("x"), 0o644)
	if !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("a new file in the volume: %w, wanted %w", err, syscall.EROFS)
	}
	file, err := os.OpenFile(filepath.Join(f.target, "model.h5"), os.O_WRONLY, 0)
	if err == nil {
		file.Close()
	}
	if !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("the model opened for writing: %w, wanted %w", err, syscall.EROFS)
	}
	fmt.Printf("    %s\n", err)
	return nil
}

func (d *demo) tryClone(ctx context.Context) error {
	_, err := d.node.volumes.CreateVolume(ctx, d.creation("globex", "intruder"))
	return denied(err)
}

// tryStage has globex's key and acme's volume ID, as a thief would.
func (d *demo) tryStage(ctx context.Context, f *function) error {
	stolen := *f
	stolen.staging = filepath.Join(d.dir, "staging", "intruder")
	if err := os.MkdirAll(stolen.staging, 0o755); err != nil {
		return err
	}
	_, err := d.node.mounts.NodeStageVolume(ctx, staging(&stolen, d.node.secrets["globex"]))
	return denied(err)
}

func (d *demo) tryPublish(ctx context.Context, f *function) error {
	stolen := *f
	stolen.target = filepath.Join(d.dir, "pods", "intruder")
	_, err := d.node.mounts.NodePublishVolume(ctx, publication(&stolen, "globex"))
	return denied(err)
}

// denied wants exactly PermissionDenied and shows what was said.
func denied(err error) error {
	if status.Code(err) != codes.PermissionDenied {
		return fmt.Errorf("the answer is %s (%w), wanted %s", status.Code(err), err, codes.PermissionDenied)
	}
	fmt.Printf("    %s\n", status.Convert(err).Message())
	return nil
}

// settle waits until two looks at what Ceph stores agree: its statistics are a
// few seconds late.
func (d *demo) settle(ctx context.Context) (int64, error) {
	last := int64(-1)
	for range 20 {
		now, err := d.stored(ctx)
		if err != nil {
			return 0, err
		}
		if now == last && now > 0 {
			return now, nil
		}
		last = now
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(6 * time.Second):
		}
	}
	return last, nil
}
