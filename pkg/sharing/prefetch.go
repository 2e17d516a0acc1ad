package sharing

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Prefetches are the goldens that are or were read ahead of their use, for as
// long as they are mounted. The zero value is ready for use.
type Prefetches struct {
	mu  sync.Mutex
	all map[string]*prefetch // by the golden's key
}

type prefetch struct {
	what   volume.Prefetch
	bytes  int64 // that it may read: counted against the node's limit
	cancel context.CancelFunc
	done   chan struct{}
}

// Prefetch reads a golden, or the directory inside it, into the page cache while
// the function starts, once for as long as it is mounted. size is all that there
// is to read. It is charged to the tenant that asked first.
func (n *Node[G]) Prefetch(ctx context.Context, g G, inside, tenant string, what volume.Prefetch, size int64) {
	if what != volume.PrefetchAll && what != volume.PrefetchMetadata {
		return
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &prefetch{what: what, cancel: cancel, done: make(chan struct{})}
	whole := what == volume.PrefetchAll
	if whole {
		p.bytes = size
	}
	if !n.Prefetches.add(g.Key(), p, n.PrefetchLimit) {
		cancel()
		return
	}
	go func() {
		defer close(p.done)
		defer cancel()
		err := n.host.Prefetch(own, filepath.Join(n.Path(g), inside), whole, func(read int64) { n.Observe(tenant, read) })
		if err != nil && own.Err() == nil {
			klog.FromContext(own).Error(err, "prefetch a golden", "golden", g.String())
		}
	}()
}

// add says whether p is to begin: it is the golden's first, or reads more than
// its first, and the node's limit has room for it. A limit of 0 is none at all.
func (p *Prefetches) add(key string, one *prefetch, limit int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.all[key]
	if limit == 0 || before != nil && (before.what == one.what || before.what == volume.PrefetchAll || !before.isDone()) {
		return false
	}
	total := one.bytes
	for k, other := range p.all {
		if k != key {
			total += other.bytes
		}
	}
	if total > limit {
		return false
	}
	if p.all == nil {
		p.all = map[string]*prefetch{}
	}
	p.all[key] = one
	return true
}

func (p *prefetch) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// cancel ends the golden's prefetch soon. One that had not ended may begin
// again with the next volume.
func (p *Prefetches) cancel(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.all[key]; one != nil && !one.isDone() {
		one.cancel()
		// What was read counts until the golden is unmounted.
		one.what = volume.PrefetchNone
	}
}

// stop ends the golden's prefetch, which has files open, and forgets it.
func (p *Prefetches) stop(ctx context.Context, key string) error {
	p.mu.Lock()
	one := p.all[key]
	p.mu.Unlock()
	if one == nil {
		return nil
	}
	one.cancel()
	select {
	case <-one.done:
	case <-ctx.Done():
		return fmt.Errorf("a prefetch does not end: %w: %w", context.Cause(ctx), volume.ErrUnavailable)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, key)
	return nil
}

// Running returns how many goldens are being read just now.
func (p *Prefetches) Running() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if !one.isDone() {
			n++
		}
	}
	return n
}
