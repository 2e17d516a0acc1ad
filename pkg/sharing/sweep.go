package sharing

import (
	"context"
	"errors"
	"time"

	"k8s.io/klog/v2"
)

// The time between two sweeps.
const (
	sweepLeast = time.Second
	sweepMost  = time.Minute
)

// Run calls sweep until ctx ends, at once and then often enough that no golden
// lingers much longer than it should, and after each time what comes with it.
func (n *Node[G]) Run(ctx context.Context, sweep func(context.Context) error, after func(context.Context)) {
	ticker := time.NewTicker(min(max(n.Linger/4, sweepLeast), sweepMost))
	defer ticker.Stop()
	for {
		sweepSoon(ctx, sweep)
		after(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweepSoon sweeps, and goes on without the sweep where a mount that cannot
// reach its Ceph keeps the kernel waiting: the next sweep passes that one by.
func sweepSoon(ctx context.Context, sweep func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, sweepMost)
	defer cancel()
	swept := make(chan error, 1)
	go func() { swept <- sweep(ctx) }()
	select {
	case err := <-swept:
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			klog.FromContext(ctx).Error(err, "sweep what the node has mounted")
		}
	case <-ctx.Done():
	}
}

// Sweep takes away goldens that have lingered, those of a killed driver too.
// What a call is at work on is left to it.
func (n *Node[G]) Sweep(ctx context.Context) error {
	all, err := n.backend.Goldens(ctx)
	if err != nil {
		return err
	}
	sharers, err := n.Sharers(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, g := range n.owed.all() {
		failed = append(failed, n.Release(ctx, g))
	}
	for _, g := range all {
		if len(sharers[n.Path(g)]) > 0 {
			n.idle.end(g.Key())
			continue
		}
		if n.idle.lasts(g.Key()) >= n.Linger {
			failed = append(failed, n.Release(ctx, g))
		}
	}
	return errors.Join(failed...)
}
