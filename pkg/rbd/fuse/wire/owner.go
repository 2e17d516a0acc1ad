package wire

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// LogSuffix makes the name of an exporter's log of its mount's. The exporter
// owns that file.
const LogSuffix = ".log"

// Own locks a file until the process ends. The lock is what names the process
// that serves a mount: unlike a number in a file, the kernel takes it back at
// the very end of that process, and gives it to no other.
func Own(file *os.File) error {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock the log: %w: %w", err, volume.ErrInUse)
	}
	return nil
}

// Owner returns the process that owns the file at path, 0 where none does. It
// must not be called by the owner, who would lose the lock by it.
func Owner(path string) (pid int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for an exporter: %w: %w", err, volume.ErrUnavailable)
	}
	defer file.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("look for the exporter of %s: %w: %w", path, err, volume.ErrUnavailable)
	}
	if lock.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}
