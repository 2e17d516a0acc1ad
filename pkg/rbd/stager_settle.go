package rbd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// mayBeUnclean says whether what the volume was copied from may have been
// mounted then. A golden was not.
func (r volumeRecord) mayBeUnclean() bool {
	return r.ReadOnly && !r.Block && r.Parent != parentRecord{} && r.Parent.Golden == "" && r.FsType != "erofs"
}

// settle replays the journal of a read-only volume that was copied from a
// mounted one: without, what that had written last would be missing, or half
// there. It is done in the volume's own clone, before anybody reads it, and
// only once: afterwards the file system is clean. m is the reader's mapping.
func (s *Stager) settle(ctx context.Context, st volume.Stage, rec volumeRecord, m Mapping) error {
	defer s.steps.Step("replay")()
	m.ReadOnly = true
	used, err := s.isUsed(ctx, m)
	if err != nil || used {
		return err
	}
	place := s.replayPlace(m)
	if err := s.unsettle(ctx, m, place); err != nil {
		return err
	}
	dev, err := s.device(ctx, m, st.Credentials)
	if err != nil {
		return err
	}
	clean, err := s.host.IsClean(ctx, dev.Path, place, rec.FsType)
	if err != nil {
		return volume.Undone(err, s.giveUp(ctx, m))
	}
	if clean {
		return nil
	}
	if err := s.release(ctx, m); err != nil {
		return err
	}
	return s.replay(ctx, st, rec, m, place)
}

// replayPlace is where a volume is mounted for its replay.
func (s *Stager) replayPlace(m Mapping) string {
	return filepath.Join(s.goldens.StateDir, "replay", m.Image)
}

// isUsed says whether the volume is shown already, so that it is settled.
func (s *Stager) isUsed(ctx context.Context, m Mapping) (bool, error) {
	dev, err := s.mapper.Find(ctx, m)
	if errors.Is(err, volume.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	users, err := s.host.Users(ctx, dev.Path)
	if err != nil || users == 0 {
		return false, err
	}
	row, err := s.host.Mounted(ctx, s.replayPlace(m))
	if errors.Is(err, volume.ErrNotFound) {
		return true, nil
	}
	return row.Device != dev.Path, err
}

// replay mounts the clone for writing, which replays its journal, where no pod
// sees it.
func (s *Stager) replay(ctx context.Context, st volume.Stage, rec volumeRecord, m Mapping, place string) error {
	switch {
	case st.Writer == volume.Credentials{}:
		return fmt.Errorf("volume %s is a copy of a file system that was in use: its journal must be replayed once, and this node has no key that may write it: "+
			"stage it first on a node with a writer's key, or copy a volume that no pod has mounted: %w", st.ID, volume.ErrPrecondition)
	case !s.mapper.Exclusive():
		return fmt.Errorf("volume %s needs its journal replayed, and this node's mapper cannot keep a second writer out: use krbd: %w", st.ID, volume.ErrUnsupported)
	}
	m.ReadOnly = false
	dev, err := s.device(ctx, m, st.Writer)
	if err != nil {
		return err
	}
	err = s.host.Mount(ctx, dev.Path, place, rec.FsType, false, nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	cleanup := s.unsettle(ctx, m, place)
	if err != nil {
		return volume.Undone(err, cleanup)
	}
	return cleanup
}

// unsettle takes away what a replay has, also one that a killed driver left.
func (s *Stager) unsettle(ctx context.Context, m Mapping, place string) error {
	if err := s.host.Unpublish(ctx, place); err != nil {
		return err
	}
	return s.release(ctx, m)
}
