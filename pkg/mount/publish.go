package mount

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Publish binds the staged volume over the target, which it makes.
func (h *Host) Publish(ctx context.Context, p volume.Publication) error {
	staged, err := findStaged(p)
	if err != nil {
		return err
	}
	defer staged.close()
	return h.change(ctx, p.Target, makeEntry, staged.publish)
}

// staged is a staged volume that is about to be published.
type staged struct {
	entry
	shape
	readOnly bool // wanted of the publication
	alone    bool // likewise
}

// findStaged finds what is to be published; ErrInUse when it cannot be.
func findStaged(p volume.Publication) (staged, error) {
	path := p.Staging
	if p.Block {
		path = filepath.Join(p.Staging, volume.StagedDevice)
	}
	e, err := openEntry(path)
	if errors.Is(err, volume.ErrNotFound) {
		return staged{}, notStaged(p)
	}
	if err != nil {
		return staged{}, err
	}
	st, err := e.staged(p)
	if err != nil {
		e.close()
	}
	return st, err
}

func (e entry) staged(p volume.Publication) (staged, error) {
	s, err := e.look()
	switch {
	case errors.Is(err, volume.ErrNotFound), err == nil && !s.isMount:
		return staged{}, notStaged(p)
	case err != nil:
		return staged{}, err
	case s.is(unix.S_IFBLK) != p.Block:
		return staged{}, fmt.Errorf("what is staged on %s is not of the kind that is to be published: %w", p.Staging, volume.ErrInUse)
	}
	if p.Block && p.ReadOnly {
		if err := mustBeReadOnly(s, p); err != nil {
			return staged{}, err
		}
	}
	return staged{entry: e, shape: s, readOnly: p.ReadOnly, alone: p.Alone}, nil
}

func notStaged(p volume.Publication) error {
	return fmt.Errorf("no volume is staged on %s: %w", p.Staging, volume.ErrInUse)
}

func mustBeReadOnly(s shape, p volume.Publication) error {
	ro, err := isReadOnly(devicePath(s.rdev))
	if err == nil && !ro {
		err = fmt.Errorf("a writable block volume cannot be published read-only on %s: %w", p.Target, volume.ErrInUse)
	}
	return err
}

// publish makes the target show the volume.
func (s staged) publish(target entry) error {
	there, err := target.look()
	switch {
	case errors.Is(err, volume.ErrNotFound), err == nil && !there.isMount:
	case err != nil:
		return err
	default:
		return s.verify(target)
	}
	if s.alone {
		if err := s.mustBeAlone(); err != nil {
			return err
		}
	}
	if s.is(unix.S_IFBLK) {
		return bindNode(s.entry, target)
	}
	if err := target.mkdir(); err != nil {
		return err
	}
	return bind(s.entry, target, s.attrs())
}

func (s staged) attrs() uint64 {
	attrs := uint64(unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID)
	if s.readOnly {
		attrs |= unix.MOUNT_ATTR_RDONLY
	}
	return attrs
}

// verify compares what is mounted on the target already with the volume.
func (s staged) verify(target entry) error {
	if s.is(unix.S_IFBLK) {
		return bindNode(s.entry, target)
	}
	_, have, err := target.mounted()
	if err != nil {
		return err
	}
	_, want, err := s.entry.mounted()
	if err != nil {
		return err
	}
	readOnly := s.readOnly || want.readOnly()
	switch {
	case have.dev != want.dev || have.root != want.root, have.readOnly() && !readOnly:
		return conflict(target.path, have)
	case have.readOnly() == readOnly:
		return nil
	case canSetAttr():
		return conflict(target.path, have)
	}
	// On an older kernel this is what a kill in bindOld leaves.
	return restrict(target, s.attrs())
}

// Unpublish removes the mount, as often as it is mounted, and the target if it
// is empty; what somebody put there is left alone and wraps volume.ErrInUse.
func (h *Host) Unpublish(ctx context.Context, target string) error {
	err := h.change(ctx, target, openEntry, func(e entry) error {
		if err := e.unmount(ctx); err != nil {
			return err
		}
		return e.remove()
	})
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	return err
}
