package rbd

import (
	"context"
	"errors"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	// busyPatience is how long a device may be open that no mount shows: what
	// looks at block devices (udev, blkid), and a mount namespace that is just
	// being made from this one, hold it for a moment.
	busyPatience = 5 * time.Second
	busyPause    = 50 * time.Millisecond
)

// unmap removes a mapping that no mount shows, and waits a while for those who
// only look at its device.
func (s *Stager) unmap(ctx context.Context, m Mapping) error {
	patience, cancel := context.WithTimeout(ctx, busyPatience)
	defer cancel()
	for {
		err := s.mapper.Unmap(ctx, m)
		if !errors.Is(err, volume.ErrInUse) {
			return err
		}
		select {
		case <-patience.Done():
			return err
		case <-time.After(busyPause):
		}
	}
}
