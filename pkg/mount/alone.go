package mount

import (
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// mustBeAlone refuses a volume that another target shows already; ErrInUse
// names it.
func (s staged) mustBeAlone() error {
	_, mine, err := s.entry.mounted()
	if err != nil {
		return err
	}
	rows, err := readTable()
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.dev == mine.dev && r.root == mine.root && r.path != mine.path {
			return fmt.Errorf("the volume is published on %s already, and its access mode allows one place: %w", r.path, volume.ErrInUse)
		}
	}
	return nil
}
