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
// the very end of that process, and gives it to no other. A file that somebody
// has claimed, or has removed since, is refused: a process that comes so late
// would serve where another may be already.
func Own(file *os.File) error {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock the log: %w: %w", err, volume.ErrInUse)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return fmt.Errorf("look at the log: %w: %w", err, volume.ErrUnavailable)
	}
	if stat.Nlink == 0 {
		return fmt.Errorf("the log has been removed: %w", volume.ErrUnavailable)
	}
	return nil
}

// Claim keeps the file at path from being owned until it is closed, so that it
// can be removed; nil where there is none. It wraps volume.ErrInUse where a
// process owns it. This lock is the open file's, not the process's: other uses
// of the file by the same process do not drop it.
func Claim(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim the log: %w: %w", err, volume.ErrUnavailable)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("claim %s: %w: %w", path, err, volume.ErrInUse)
	}
	return file, nil
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
	return max(0, int(lock.Pid)), nil // -1: it is claimed
}
