package mount

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Format makes an empty file system on a device that has none. One of the same
// type is left alone; any other content wraps volume.ErrConflict. What a
// killed Format left is known as such and made anew.
func (h *Host) Format(ctx context.Context, device, fsType string) error {
	mkfs, err := mkfsCommand(device, fsType)
	if err != nil {
		return err
	}
	end, err := h.turns.take(ctx, device)
	if err != nil {
		return err
	}
	defer end()
	switch kind, err := contentOf(device); {
	case err != nil:
		return err
	case kind == fsType:
		return nil
	case kind != blank && kind != unfinished+fsType:
		return fmt.Errorf("device %s has %s on it and is not formatted as %s: %w", device, kind, fsType, volume.ErrConflict)
	}
	if ro, err := isReadOnly(device); err != nil || ro {
		return errors.Join(err, fmt.Errorf("format %s: the device is read-only: %w", device, volume.ErrInvalid))
	}
	return run(ctx, mkfs)
}

// mkfsCommand returns the program and its arguments. The device of a new
// volume reads as zeros and stores nothing, so nothing is discarded; ext4
// writes its inode tables later, in the background.
func mkfsCommand(device, fsType string) ([]string, error) {
	switch fsType {
	case ext4:
		return []string{"mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0",
			"-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", device}, nil
	case xfs:
		return []string{"mkfs.xfs", "-q", "-f", "-K", device}, nil
	}
	return nil, fmt.Errorf("a volume cannot be formatted as %.32q, but as ext4 or xfs: %w", fsType, volume.ErrInvalid)
}

func contentOf(device string) (string, error) {
	f, err := openDevice(device)
	if err != nil {
		return "", err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return "", err
	}
	kind, err := inspect(f, size)
	if err != nil {
		return "", fmt.Errorf("inspect %s: %w", device, err)
	}
	return kind, nil
}

// run runs a program until ctx ends, and tells what it said when it fails.
func run(ctx context.Context, args []string) error {
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("%s is not installed on this node: %w", args[0], volume.ErrUnsupported)
	}
	cmd := exec.CommandContext(ctx, program, args[1:]...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", args[0], context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %.300s: %w", strings.Join(args, " "), err, out, volume.ErrUnavailable)
	}
	return nil
}
