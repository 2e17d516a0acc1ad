package mounter

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// InMemory returns a file that no directory has, with the text in it: for a
// key, or for what a program says. Unlike a pipe it can be read as often as
// Ceph likes to, and nobody has to empty it.
func InMemory(name, text string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.WriteString(text); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write to a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	return file, nil
}
