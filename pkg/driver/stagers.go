package driver

import (
	"context"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Stagers is the Stager of a node that serves several backends: an ID says
// which of them a volume is of.
type Stagers map[volume.Backend]Stager

var _ Stager = Stagers{}

// of returns the stager of a volume.
func (s Stagers) of(id volume.ID) (Stager, error) {
	if one, ok := s[id.Backend]; ok {
		return one, nil
	}
	return nil, fmt.Errorf("volume %s: this node does not serve backend %s: %w", id, id.Backend, volume.ErrUnsupported)
}

// Stage implements Stager.
func (s Stagers) Stage(ctx context.Context, at tenant.Place, st volume.Stage) error {
	one, err := s.of(st.ID)
	if err != nil {
		return err
	}
	return one.Stage(ctx, at, st)
}

// Unstage implements Stager. A backend that is not served here could have the
// volume still: that is no success.
func (s Stagers) Unstage(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	one, err := s.of(id)
	if err != nil {
		return err
	}
	return one.Unstage(ctx, at, id, path)
}

// Expand implements Stager.
func (s Stagers) Expand(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	one, err := s.of(id)
	if err != nil {
		return err
	}
	return one.Expand(ctx, at, id, path)
}

// Shown implements Stager.
func (s Stagers) Shown(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	one, err := s.of(id)
	if err != nil {
		return err
	}
	return one.Shown(ctx, at, id, path)
}

// Limit implements Stager: the least of what the backends can have. One that
// says 0 has no limit of its own.
func (s Stagers) Limit() (least int64) {
	for _, one := range s {
		if limit := one.Limit(); limit > 0 && (least == 0 || limit < least) {
			least = limit
		}
	}
	return least
}
