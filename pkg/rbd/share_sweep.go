package rbd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Run sweeps until ctx ends, at once and then often enough that no golden
// lingers much longer than it should, and renews leases.
func (s *Stager) Run(ctx context.Context) { s.goldens.Run(ctx, s.Sweep, s.renewLeases) }

// Sweep takes away mapped images that nobody uses: volumes' at once, goldens'
// when they have lingered. A killed driver's leftovers are among them. What a
// call is at work on is left to it.
func (s *Stager) Sweep(ctx context.Context) error {
	all, err := s.mapper.List(ctx)
	if err != nil {
		return err
	}
	failed := []error{s.goldens.Sweep(ctx)}
	for _, m := range all {
		if !m.isGolden() && isVolumeImage(m.Image) {
			failed = append(failed, s.sweepVolume(ctx, m.Mapping))
		}
	}
	return errors.Join(failed...)
}

// sweepVolume takes a volume's own mapping away unless a call is at work on
// the volume or it is mounted.
func (s *Stager) sweepVolume(ctx context.Context, m Mapping) error {
	done := s.goldens.Holds.Seize(m.names())
	if done == nil {
		return nil
	}
	defer done()
	return s.release(ctx, m)
}

// names tell a volume's own mapping, of which an unstage knows no more.
func (m Mapping) names() string { return m.Pool + "/" + m.Namespace + "/" + m.Image }

// isVolumeImage says whether an image has the name that this driver gives to a
// volume's, and no other that begins like it.
func isVolumeImage(image string) bool {
	hash, ok := strings.CutPrefix(image, volumePrefix)
	return ok && len(hash) == len(volume.Hash("")) && strings.Trim(hash, "0123456789abcdef") == ""
}

// backend is what sharing asks of a stager. It implements sharing.Backend.
type backend struct{ *Stager }

// Goldens implements sharing.Backend.
func (b backend) Goldens(ctx context.Context) ([]Mapping, error) {
	all, err := b.mapper.List(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m Mapped) bool { return !m.isGolden() })
	found := make([]Mapping, len(all))
	for i, m := range all {
		found[i] = m.Mapping
	}
	return found, nil
}

// Remove implements sharing.Backend.
func (b backend) Remove(ctx context.Context, m Mapping) error {
	if err := b.host.Unpublish(ctx, b.goldens.Path(m)); err != nil {
		return err
	}
	if err := b.release(ctx, m); err != nil {
		return err
	}
	b.leases.drop(m.Key())
	return nil
}
