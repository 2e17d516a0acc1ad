package fuse

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Available says whether this node can map: FUSE, loop devices, the exporter.
func (f *Mapper) Available(context.Context) error {
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w: %w", device, err, volume.ErrUnsupported)
		}
		_ = unix.Close(fd)
	}
	if err := f.options.Starter.Has(mounter.Export); err != nil {
		return err
	}
	if err := os.MkdirAll(f.options.StateDir, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w: %w", err, volume.ErrUnsupported)
	}
	return nil
}

// Sweep removes what killed mappers and dead exporters left where there is no
// device, so that List does not tell of it. It must not run beside a Map.
func (f *Mapper) Sweep(ctx context.Context) error {
	spots, err := f.all()
	if err != nil {
		return err
	}
	var failed []error
	for _, s := range spots {
		if s.loop == "" {
			failed = append(failed, f.takeDown(ctx, s.dir))
		}
	}
	return errors.Join(failed...)
}
