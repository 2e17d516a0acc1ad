package mount

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ReadAhead sets how much the kernel reads ahead of a reader of the file system
// that is mounted on path, which is on no device. Files that are open keep what
// they had.
func (h *Host) ReadAhead(_ context.Context, path string, kib int) error {
	s, err := lookMount(path)
	if err != nil {
		return err
	}
	file := filepath.Join("/sys/class/bdi", fmt.Sprintf("%d:%d", unix.Major(s.dev), unix.Minor(s.dev)), "read_ahead_kb")
	if err := os.WriteFile(file, []byte(strconv.Itoa(kib)), 0); err != nil {
		return fmt.Errorf("set the read-ahead of %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	return nil
}
