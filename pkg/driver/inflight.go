package driver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// inflight lets one operation at a time own a key. Operations on different
// keys never wait for each other.
type inflight struct {
	// limit bounds an operation whose caller has gone; Ceph's own time-outs
	// bound each of its calls.
	limit time.Duration

	mu   sync.Mutex
	held map[string]chan struct{} // closed when the key is released

	running sync.WaitGroup // operations, those without a caller too
}

// heeding is what an operation has to end in when its limit is over.
const heeding = 10 * time.Second

func newInflight(limit time.Duration) *inflight {
	return &inflight{limit: limit, held: map[string]chan struct{}{}}
}

// do runs fn while it owns key. Another operation on the key is waited for,
// no longer than ctx allows: then the answer wraps ErrPending. A call that has
// ended already begins nothing.
//
// fn owns the key until it really ends: a call into Ceph cannot be interrupted,
// so fn goes on when ctx ends, and the caller gets ctx's error. fn's own
// context has ctx's values and the limit instead of ctx's deadline. The key is
// released before the result is delivered.
//
// An operation that does not heed the limit, because the kernel waits for a file
// system that has no server, keeps its key, but no caller: the calls of one
// that sets no deadline end a little after the limit.
func (f *inflight) do(ctx context.Context, key string, fn func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s was not begun: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.limit+heeding)
	defer cancel()
	if err := f.acquire(ctx, key); err != nil {
		return err
	}
	result := make(chan error, 1)
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.limit)
		defer cancel()
		err := guarded(own, fn)
		f.release(key)
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s goes on after the call ended, ask again: %w", key, ctx.Err())
	}
}

// call is do for a function with a result.
func call[T any](ctx context.Context, f *inflight, key string, fn func(context.Context) (T, error)) (T, error) {
	var result T
	err := f.do(ctx, key, func(ctx context.Context) error {
		r, err := fn(ctx)
		if err == nil {
			result = r
		}
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return result, nil
}

// drain waits until no operation runs, no longer than ctx. It is for a stop,
// when none begins any more.
func (f *inflight) drain(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		f.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

func (f *inflight) acquire(ctx context.Context, key string) error {
	for {
		busy := f.take(key)
		if busy == nil {
			return nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return fmt.Errorf("another operation on %s is running: %w", key, volume.ErrPending)
		}
	}
}

// take owns the key and returns nil, or returns what to wait for.
func (f *inflight) take(key string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if busy, ok := f.held[key]; ok {
		return busy
	}
	f.held[key] = make(chan struct{})
	return nil
}

func (f *inflight) release(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.held[key])
	delete(f.held, key)
}

// guarded turns a panic into an error, so that a bug in one operation neither
// keeps its key nor ends the process.
func guarded(ctx context.Context, fn func(context.Context) error) (err error) {
	defer rescue(ctx, &err)
	return fn(ctx)
}
