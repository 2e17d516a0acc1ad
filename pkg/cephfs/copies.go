package cephfs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// CopyMetrics observes the copies of contents into writable volumes.
type CopyMetrics interface {
	// CopyStarted is called when a copy begins.
	CopyStarted()
	// CopyRead is called each time that so many bytes more are copied.
	CopyRead(bytes int64)
	// CopyEnded is called when it has ended, well or not.
	CopyEnded()
}

const (
	defaultCreateWait = time.Minute
	defaultCopies     = 2
	// answerTime is what a Create leaves of its caller's time for its answer.
	answerTime = 2 * time.Second
)

// copies are the copies under way, by volume. They outlive the request that
// began them.
type copies struct {
	wait    time.Duration
	limit   int
	metrics CopyMetrics
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	running map[volume.ID]*copying
}

// copying is one copy under way. done is closed after err is set.
type copying struct {
	total int64
	read  atomic.Int64
	stop  context.CancelFunc
	done  chan struct{}
	err   error
}

func newCopies(o Options) *copies {
	c := &copies{wait: o.CreateWait, limit: o.Copies, metrics: o.Metrics, running: map[volume.ID]*copying{}}
	if c.wait <= 0 {
		c.wait = defaultCreateWait
	}
	if c.limit <= 0 {
		c.limit = defaultCopies
	}
	if c.metrics == nil {
		c.metrics = nobody{}
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

func (c *copies) close() { c.stop() }

// find returns the copy into a volume, nil without one.
func (c *copies) find(id volume.ID) *copying {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[id]
}

// begin runs work beside its caller, or wraps volume.ErrPending where the
// tenant has as many copies as it may.
func (c *copies) begin(id volume.ID, total int64, work func(ctx context.Context, read func(int64)) error) (*copying, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mine := 0
	for other := range c.running {
		if other.Tenant == id.Tenant {
			mine++
		}
	}
	if mine >= c.limit {
		return nil, fmt.Errorf("tenant %s has %d copies under way: volume %s waits for one to end: %w", id.Tenant, mine, id, volume.ErrPending)
	}
	ctx, stop := context.WithCancel(c.ctx)
	one := &copying{total: total, stop: stop, done: make(chan struct{})}
	c.running[id] = one
	go c.run(ctx, id, one, work)
	return one, nil
}

func (c *copies) run(ctx context.Context, id volume.ID, one *copying, work func(context.Context, func(int64)) error) {
	defer one.stop()
	c.metrics.CopyStarted()
	one.err = work(ctx, func(bytes int64) {
		one.read.Add(bytes)
		c.metrics.CopyRead(bytes)
	})
	c.metrics.CopyEnded()
	c.mu.Lock()
	delete(c.running, id)
	c.mu.Unlock()
	close(one.done)
}

// end stops the copy into a volume and waits until it has ended.
func (c *copies) end(ctx context.Context, id volume.ID) error {
	one := c.find(id)
	if one == nil {
		return nil
	}
	one.stop()
	select {
	case <-one.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the copy into volume %s has not ended as yet: %w", id, context.Cause(ctx))
	}
}

// copy begins to make a writable volume with content and waits for it.
func (p *Provisioner) copy(ctx context.Context, at tenant.Place, id volume.ID, rec volumeRecord, o origin, by time.Time) (volume.Volume, error) {
	c, err := p.copies.begin(id, o.parent.Size, func(ctx context.Context, read func(int64)) error {
		return p.build(ctx, at, id, &rec, o, read)
	})
	if err != nil {
		return volume.Volume{}, err
	}
	return p.await(ctx, at, id, c, by)
}

// await waits for a copy, for as long as the caller's time allows.
func (p *Provisioner) await(ctx context.Context, at tenant.Place, id volume.ID, c *copying, by time.Time) (volume.Volume, error) {
	patience := time.NewTimer(p.copies.patience(ctx, by))
	defer patience.Stop()
	select {
	case <-c.done:
		if c.err != nil {
			return volume.Volume{}, c.result(id)
		}
		return p.Get(ctx, at, id)
	case <-patience.C:
	case <-ctx.Done():
	}
	return volume.Volume{}, fmt.Errorf("volume %s is being copied: %d of at most %d MiB: %w", id, c.read.Load()>>20, c.total>>20, volume.ErrPending)
}

// patience is how long a Create waits. Its context can have more time than
// its caller, who wants an answer by some time.
func (c *copies) patience(ctx context.Context, by time.Time) time.Duration {
	wait := c.wait
	if !by.IsZero() {
		wait = min(wait, time.Until(by)-answerTime)
	}
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)-answerTime)
	}
	return wait
}

// result is the copy's error. One that was stopped has nothing to do with the
// caller's context.
func (c *copying) result(id volume.ID) error {
	if errors.Is(c.err, context.Canceled) {
		return fmt.Errorf("the copy into volume %s was ended: %w", id, volume.ErrUnavailable)
	}
	return c.err
}

type nobody struct{}

func (nobody) CopyStarted()   {}
func (nobody) CopyRead(int64) {}
func (nobody) CopyEnded()     {}
