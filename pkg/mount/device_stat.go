package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	// sectorsRead is the place of the sectors read in a block device's stat
	// file (Documentation/block/stat.rst).
	sectorsRead = 2
	// statSector is the size of a sector in that file, whatever the device's.
	statSector = 512
)

// BytesRead returns how many bytes have been read from a block device since
// it came to be. sys is where sysfs is. It wraps volume.ErrNotFound without
// the device.
func BytesRead(sys, device string) (int64, error) {
	data, err := os.ReadFile(filepath.Join(sys, "class", "block", filepath.Base(device), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read what %s has served: %w: %w", device, err, volume.ErrNotFound)
	}
	fields := strings.Fields(string(data))
	if len(fields) <= sectorsRead {
		return 0, fmt.Errorf("the kernel tells nothing of what %s has served: %w", device, volume.ErrUnsupported)
	}
	sectors, err := strconv.ParseInt(fields[sectorsRead], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read what %s has served: %w: %w", device, err, volume.ErrUnsupported)
	}
	return sectors * statSector, nil
}
