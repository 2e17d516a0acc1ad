package rbd

import (
	"context"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// settleAccess sees to it that the volume has no device of another access than
// m's: one that nobody shows, as a killed driver leaves, goes; one that is
// shown stays, and the volume cannot be shown in another way beside it.
func (s *Stager) settleAccess(ctx context.Context, m Mapping) error {
	dev, err := s.mapper.Find(ctx, m)
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	same, err := s.hasAccess(ctx, dev, m.ReadOnly)
	if err != nil || same {
		return err
	}
	users, err := s.host.Users(ctx, dev.Path)
	if err != nil {
		return err
	}
	if users > 0 {
		return fmt.Errorf("%s/%s/%s is shown on this node already, for reading where this is for writing or the other way round: %w",
			m.Pool, m.Namespace, m.Image, volume.ErrConflict)
	}
	return s.release(ctx, m)
}

func (s *Stager) hasAccess(ctx context.Context, dev Device, readOnly bool) (bool, error) {
	all, err := s.mapper.List(ctx)
	if err != nil {
		return false, err
	}
	for _, one := range all {
		if one.Device == dev {
			return one.ReadOnly == readOnly, nil
		}
	}
	// It has gone meanwhile.
	return true, nil
}
