package fuse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The kernel lets a mount go a moment after the last of its files is closed.
const (
	unmountTries = 500
	unmountPause = 20 * time.Millisecond
)

// killedTimeout bounds the end of a process that was killed.
const killedTimeout = 20 * time.Second

// claimTries bounds how often an exporter comes late into what is taken down.
const claimTries = 3

// takeDown removes all there is in a spot: the device, the mount, the exporter,
// the files. It begins wherever an earlier one stopped, and stops at a device
// that is in use, which stays as it was.
func (f *Mapper) takeDown(ctx context.Context, dir string) error {
	devices, err := f.loops.list()
	if err != nil {
		return err
	}
	s := spot{dir: dir}
	if device := devices[s.file()]; device != "" {
		if err := boundedError(ctx, func() error { return f.loops.detach(device) }); err != nil {
			return err
		}
	}
	if err := boundedError(ctx, func() error { return unmount(dir) }); err != nil {
		return err
	}
	claim, err := f.claim(ctx, s)
	if err != nil {
		return err
	}
	defer claim.Close()
	// An exporter that had to be killed may have mounted in its last moment.
	if err := boundedError(ctx, func() error { return unmount(dir) }); err != nil {
		return err
	}
	return removeAll(dir, s.log())
}

// claim returns when the exporter has ended and none can begin here. One that a
// killed mapper has just started may not have its lock yet: it gets none any
// more, or has it and goes in the next turn.
func (f *Mapper) claim(ctx context.Context, s spot) (claim *os.File, err error) {
	for range claimTries {
		if err := f.end(ctx, s); err != nil {
			return nil, err
		}
		if claim, err = wire.Claim(s.log()); !errors.Is(err, volume.ErrInUse) {
			break
		}
	}
	return claim, err
}

// unmount unmounts dir, as often as it is mounted.
func unmount(dir string) error {
	for range unmountTries {
		switch err := unix.Unmount(dir, unix.UMOUNT_NOFOLLOW); err {
		case nil:
		case unix.EINVAL, unix.ENOENT:
			return nil
		case unix.EBUSY:
			time.Sleep(unmountPause)
		default:
			return fmt.Errorf("unmount %s: %w: %w", dir, err, volume.ErrUnavailable)
		}
	}
	return fmt.Errorf("a file of %s is open: %w", dir, volume.ErrInUse)
}

// end waits until the exporter has ended, which it does when its mount has
// gone, and kills one that does not.
func (f *Mapper) end(ctx context.Context, s spot) error {
	exporter, err := find(s)
	if err != nil || exporter == nil {
		return err
	}
	return boundedError(ctx, func() error {
		defer exporter.close()
		return exporter.end(f.options.EndTimeout)
	})
}

// process is a running exporter. Its descriptor stays that process's also when
// the number has become another's.
type process struct{ fd int }

// find returns the exporter of a spot, nil where none runs.
func find(s spot) (*process, error) {
	pid, err := wire.Owner(s.log())
	if err != nil || pid == 0 {
		return nil, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w: %w", pid, err, volume.ErrUnavailable)
	}
	// The lock is still that process's, so the descriptor is the exporter's.
	if again, err := wire.Owner(s.log()); err != nil || again != pid {
		_ = unix.Close(fd)
		return nil, err
	}
	return &process{fd: fd}, nil
}

func (p *process) end(patience time.Duration) error {
	if p.ended(patience) {
		return nil
	}
	if err := unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0); err != nil {
		return fmt.Errorf("kill the exporter: %w: %w", err, volume.ErrUnavailable)
	}
	if p.ended(killedTimeout) {
		return nil
	}
	return fmt.Errorf("the exporter was killed and has not ended: %w", volume.ErrUnavailable)
}

// ended waits for the end.
func (p *process) ended(within time.Duration) bool {
	until := time.Now().Add(within)
	for {
		left := max(0, time.Until(until))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

func (p *process) close() { _ = unix.Close(p.fd) }

func removeAll(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear the state directory: %w: %w", err, volume.ErrUnavailable)
		}
	}
	return nil
}
