package ceph

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// sentinelOf is the one table from Ceph's error numbers to the project's
// sentinels. A number that is not in it may have left a change half done, so
// it means: retry.
func sentinelOf(errno syscall.Errno) error {
	switch errno {
	case syscall.ENOENT:
		return volume.ErrNotFound
	case syscall.EEXIST:
		return volume.ErrExists
	case syscall.EPERM, syscall.EACCES:
		return volume.ErrDenied
	case syscall.ENOSPC, syscall.EDQUOT:
		return volume.ErrNoSpace
	case syscall.EBUSY:
		return volume.ErrInUse
	case syscall.EROFS:
		// The exclusive lock's holder keeps it: a mapping with `exclusive`.
		return volume.ErrInUse
	case syscall.ENOTEMPTY:
		return volume.ErrHasSnapshots
	case syscall.EINVAL, syscall.ENAMETOOLONG, syscall.EDOM, syscall.E2BIG, syscall.EFBIG:
		return volume.ErrInvalid
	}
	return volume.ErrUnavailable
}

// errnoOf returns the number that an error of go-ceph carries, or 0.
func errnoOf(err error) syscall.Errno {
	var coded interface {
		error
		ErrorCode() int
	}
	if !errors.As(err, &coded) {
		return 0
	}
	code := coded.ErrorCode()
	return syscall.Errno(max(code, -code))
}

// is says whether err carries one of the numbers.
func is(err error, numbers ...syscall.Errno) bool {
	got := errnoOf(err)
	for _, n := range numbers {
		if err != nil && got == n {
			return true
		}
	}
	return false
}

// classify wraps an error of go-ceph with its sentinel. Errors that are no
// answer of Ceph (a handle that is not open) are bugs and stay as they are.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errnoOf(err) == 0:
		return err
	}
	return fmt.Errorf("%w: %w", err, sentinelOf(errnoOf(err)))
}

// isBroken says that a connection is of no more use. A blocklisted client
// gets ESHUTDOWN (Ceph's EBLOCKLISTED) for everything from then on.
func isBroken(err error) bool {
	return errors.Is(err, errStale) || is(err, syscall.ESHUTDOWN, syscall.ENOTCONN)
}
