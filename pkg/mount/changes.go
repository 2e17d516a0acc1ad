package mount

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Changes tells that the mount table has changed. It is one caller's.
type Changes struct{ table int }

// Changes begins to look.
func (h *Host) Changes() (*Changes, error) {
	fd, err := unix.Open(tableFile, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the mount table: %w: %w", err, volume.ErrUnavailable)
	}
	return &Changes{table: fd}, nil
}

// Next returns when the table has changed since the last call, or the first
// time since Changes, and after limit at the latest (proc_pid_mounts(5): an
// exceptional condition).
func (c *Changes) Next(limit time.Duration) error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(c.table), Events: unix.POLLPRI}}, int(limit.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for the mount table: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// Close ends it.
func (c *Changes) Close() { _ = unix.Close(c.table) }
