package mount

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// IsClean says whether the file system on a read-only device needs no replay
// of its journal. It asks the kernel, by mounting it for a moment on path, a
// directory that it makes and removes: without the options that skip a replay,
// ext4 and XFS refuse a device that would have to be written to.
func (h *Host) IsClean(ctx context.Context, device, path, fsType string) (clean bool, err error) {
	ro, err := isReadOnly(device)
	if err != nil {
		return false, err
	}
	if !ro {
		return false, fmt.Errorf("device %s is writable, and looking at it would replay its journal: %w", device, volume.ErrInUse)
	}
	s, err := parseSettings(fsType, true, nil)
	if err != nil {
		return false, err
	}
	s.words = nil
	if fsType == xfs {
		s.words = []string{"nouuid"}
	}
	err = h.change(ctx, path, makeEntry, func(e entry) error {
		if err := errors.Join(e.unmount(ctx), e.mkdir()); err != nil {
			return err
		}
		clean, err = probeClean(ctx, e, device, fsType, s)
		return errors.Join(err, e.remove())
	})
	return clean, err
}

func probeClean(ctx context.Context, e entry, device, fsType string, s settings) (bool, error) {
	err := attachDevice(e, device, fsType, s)
	if errors.Is(err, unix.EROFS) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, e.unmount(ctx)
}
