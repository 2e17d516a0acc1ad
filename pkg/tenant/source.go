package tenant

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Source is a policy file whose good edits come into force while the driver
// runs. A bad edit changes nothing: the last good policy stays in force.
// Safe for concurrent use.
type Source struct {
	path    string
	guard   Guard
	current atomic.Pointer[Policy]

	mu   sync.Mutex
	seen [sha256.Size]byte // of the content in force
}

// Guard refuses a policy that is well formed but must not follow the one in
// force: it drops a cluster that still has volumes. nil admits all. It returns
// volume.ErrInUse to refuse, any other error when it could not find out.
type Guard func(ctx context.Context, old, next *Policy) error

// OpenSource reads the policy file at path. A file that is not good is an
// error here: there is no last good policy yet.
func OpenSource(path string, guard Guard) (*Source, error) {
	s := &Source{path: path, guard: guard}
	data, p, err := load(s.path)
	if err != nil {
		return nil, err
	}
	s.seen = sha256.Sum256(data)
	s.current.Store(p)
	return s, nil
}

// Policy returns the policy in force.
func (s *Source) Policy() *Policy { return s.current.Load() }

// Reload looks at the file and brings a new good content into force. It says
// whether the policy changed. Reading the content, not the times, follows the
// symbolic links by which Kubernetes swaps a ConfigMap.
func (s *Source) Reload(ctx context.Context) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, next, err := load(s.path)
	if sum := sha256.Sum256(data); err == nil && sum == s.seen {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := s.admit(ctx, next); err != nil {
		return false, fmt.Errorf("policy file %s: %w", s.path, err)
	}
	s.seen = sha256.Sum256(data)
	s.current.Store(next)
	return true, nil
}

func (s *Source) admit(ctx context.Context, next *Policy) error {
	if s.guard == nil {
		return nil
	}
	return s.guard(ctx, s.Policy(), next)
}

// Watch reloads the file again and again until ctx ends. report is called,
// never concurrently, when the policy changed (nil), when the file turned bad
// or is bad in another way (its error), and when it is good again (nil).
func (s *Source) Watch(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := s.Reload(ctx)
		if now := text(err); changed || now != last {
			last = now
			report(err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// KeepsClusters returns a Guard that refuses to drop a cluster's row, or to
// move it to another pool, while any tenant has volumes there. hasVolumes
// tells that of a place of no tenant, which stands for its whole pool.
func KeepsClusters(hasVolumes func(ctx context.Context, pool Place) (bool, error)) Guard {
	return func(ctx context.Context, old, next *Policy) error {
		for _, c := range old.Clusters() {
			if next.has(c) {
				continue
			}
			switch found, err := hasVolumes(ctx, Place{cluster: c}); {
			case err != nil:
				return fmt.Errorf("line %d: cluster %s with pool %s is gone from the file, and whether volumes name it is not known: %w", next.line, c.ID, c.Pool, err)
			case found:
				return fmt.Errorf("line %d: cluster %s with pool %s is gone from the file, but there are volumes in it: restore its row: %w", next.line, c.ID, c.Pool, volume.ErrInUse)
			}
		}
		return nil
	}
}

// has says whether the policy still finds the volumes of a cluster's row.
func (p *Policy) has(c *Cluster) bool {
	row := p.clusters[c.ID]
	return row != nil && row.Pool == c.Pool && row.FileSystem == c.FileSystem
}
