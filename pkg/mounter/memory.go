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
	file, err := memory(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(text); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write to a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	return file, nil
}

// Sheet returns an empty file that no directory has, for what a program says
// that goes on to run: there is room for so many bytes, and the kernel refuses
// what comes after them (EPERM). Where nothing was written it reads as zeros.
func Sheet(name string, bytes int64) (*os.File, error) {
	file, err := memory(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	err = file.Truncate(bytes)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("bound a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	return file, nil
}

func memory(name string, flags int) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, flags)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	return os.NewFile(uintptr(fd), name), nil
}
