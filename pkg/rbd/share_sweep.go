package rbd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The time between two sweeps.
const (
	sweepLeast = time.Second
	sweepMost  = time.Minute
)

// Run sweeps until ctx ends, at once and then often enough that no golden
// lingers much longer than it should, and renews leases.
func (s *Stager) Run(ctx context.Context) {
	ticker := time.NewTicker(min(max(s.sharing.Linger/4, sweepLeast), sweepMost))
	defer ticker.Stop()
	for {
		s.sweepSoon(ctx)
		s.renewLeases(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweepSoon sweeps, and goes on without the sweep where a device that cannot
// reach its Ceph keeps the kernel waiting: the next sweep passes that one by.
func (s *Stager) sweepSoon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepMost)
	defer cancel()
	swept := make(chan error, 1)
	go func() { swept <- s.Sweep(ctx) }()
	select {
	case err := <-swept:
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			klog.FromContext(ctx).Error(err, "sweep the node's mappings")
		}
	case <-ctx.Done():
	}
}

// Sweep takes away mapped images that nobody uses: volumes' at once, goldens'
// when they have lingered. A killed driver's leftovers are among them. What a
// call is at work on is left to it.
func (s *Stager) Sweep(ctx context.Context) error {
	all, err := s.mapper.List(ctx)
	if err != nil {
		return err
	}
	sharers, err := s.sharers(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range s.owed.all() {
		failed = append(failed, s.releaseGolden(ctx, m))
	}
	for _, m := range all {
		switch {
		case m.isGolden() && len(sharers[s.sharing.path(m.Mapping)]) > 0:
			s.idle.end(m.key())
		case m.isGolden():
			failed = append(failed, s.sweepGolden(ctx, m.Mapping))
		case isVolumeImage(m.Image):
			failed = append(failed, s.sweepVolume(ctx, m.Mapping))
		}
	}
	return errors.Join(failed...)
}

func (s *Stager) sweepGolden(ctx context.Context, m Mapping) error {
	if s.idle.lasts(m.key()) < s.sharing.Linger {
		return nil
	}
	return s.releaseGolden(ctx, m)
}

// sweepVolume takes a volume's own mapping away unless a call is at work on
// the volume or it is mounted.
func (s *Stager) sweepVolume(ctx context.Context, m Mapping) error {
	done := s.holds.seize(m.names())
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

// releaseGolden takes a golden's mount and mapping away, unless a volume shows
// it or is just about to. It begins wherever a killed one stopped.
func (s *Stager) releaseGolden(ctx context.Context, m Mapping) error {
	done := s.holds.seize(m.key())
	if done == nil {
		return nil
	}
	defer done()
	sharers, err := s.sharers(ctx)
	if err != nil || len(sharers[s.sharing.path(m)]) > 0 {
		return err
	}
	s.owed.add(m)
	if err := s.sharing.prefetches.stop(ctx, m.key()); err != nil {
		return err
	}
	if err := s.host.Unpublish(ctx, s.sharing.path(m)); err != nil {
		return fmt.Errorf("give up golden %s/%s: %w", m.Namespace, m.Image, err)
	}
	if err := s.release(ctx, m); err != nil {
		return fmt.Errorf("give up golden %s/%s: %w", m.Namespace, m.Image, err)
	}
	s.owed.remove(m)
	s.idle.end(m.key())
	s.sharing.leases.drop(m.key())
	return nil
}

// giveUpGolden removes what a failed mapping left, also after the caller has
// gone.
func (s *Stager) giveUpGolden(ctx context.Context, m Mapping) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	return s.releaseGolden(ctx, m)
}

// leaveShared ends what the last volume of a golden leaves running, and the
// mapping where it is not to linger.
func (s *Stager) leaveShared(ctx context.Context, lower string) error {
	sharers, err := s.sharers(ctx)
	if err != nil || len(sharers[lower]) > 0 {
		return err
	}
	all, err := s.mapper.List(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if !m.isGolden() || s.sharing.path(m.Mapping) != lower {
			continue
		}
		s.sharing.prefetches.cancel(m.key())
		s.idle.begin(m.key())
		if s.sharing.Linger == 0 {
			return s.releaseLast(ctx, m.Mapping)
		}
	}
	return nil
}

// owed are goldens whose release has begun and not ended: half taken down, a
// mapper does not list them any more. A driver that is killed meanwhile leaves
// them to the mapper's own tidying. The zero value is ready for use.
type owed struct {
	mu  sync.Mutex
	set map[string]Mapping
}

func (o *owed) add(m Mapping) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.set == nil {
		o.set = map[string]Mapping{}
	}
	o.set[m.key()] = m
}

func (o *owed) remove(m Mapping) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.set, m.key())
}

func (o *owed) all() []Mapping {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.set))
}

// releaseLast is releaseGolden for the last volume's unstage, which is no less
// done where a process or another mount namespace still holds the golden: the
// sweep takes it then.
func (s *Stager) releaseLast(ctx context.Context, m Mapping) error {
	err := s.releaseGolden(ctx, m)
	if errors.Is(err, volume.ErrInUse) {
		klog.FromContext(ctx).V(2).Info("the golden is held by somebody else, the sweep will take it", "reason", err.Error())
		return nil
	}
	return err
}

// idle remembers since when nobody uses a golden. The zero value is ready for
// use.
type idle struct {
	mu    sync.Mutex
	since map[string]time.Time
}

// begin is the moment of the last use.
func (i *idle) begin(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.since == nil {
		i.since = map[string]time.Time{}
	}
	if _, ok := i.since[key]; !ok {
		i.since[key] = time.Now()
	}
}

// lasts returns how long there has been no use. It begins when somebody first
// asks, as after a restart of the driver.
func (i *idle) lasts(key string) time.Duration {
	i.begin(key)
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Since(i.since[key])
}

func (i *idle) end(key string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.since, key)
}
