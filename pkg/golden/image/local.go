package image

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// local wraps an error of this machine's files with its sentinel. What is wrong
// with the input itself has one already.
func local(doing string, err error) error {
	if err == nil {
		return nil
	}
	sentinel := volume.ErrUnavailable
	switch {
	case errors.Is(err, volume.ErrInvalid):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, fs.ErrNotExist):
		sentinel = volume.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		sentinel = volume.ErrDenied
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		sentinel = volume.ErrNoSpace
	}
	return fmt.Errorf("%s: %w: %w", doing, err, sentinel)
}
