package sharing

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Holds keeps what is mounted from being taken away while calls are at work on it.
// Any number may use one at a time; taking it away needs it alone, and is not
// waited for. The zero value is ready for use.
type Holds struct {
	mu   sync.Mutex
	held map[string]*hold
}

type hold struct {
	users int
	taken chan struct{} // closed when what seized it is done; nil: nobody has
}

// Use waits until nobody takes key away, no longer than ctx allows. Until the
// returned function is called nobody will.
func (h *Holds) Use(ctx context.Context, key string) (done func(), err error) {
	for {
		taken := h.tryUse(key)
		if taken == nil {
			return sync.OnceFunc(func() { h.leave(key) }), nil
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, fmt.Errorf("it is just being unmounted: %w", volume.ErrPending)
		}
	}
}

func (h *Holds) tryUse(key string) (taken <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of(key)
	if of.taken != nil {
		return of.taken
	}
	of.users++
	return nil
}

func (h *Holds) of(key string) *hold {
	if h.held == nil {
		h.held = map[string]*hold{}
	}
	if h.held[key] == nil {
		h.held[key] = &hold{}
	}
	return h.held[key]
}

func (h *Holds) leave(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.held[key]
	if of.users--; of.users == 0 {
		delete(h.held, key)
	}
}

// Seize keeps others off key until the returned function is called; nil where
// somebody uses it or has seized it.
func (h *Holds) Seize(key string) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := h.of(key)
	if of.users > 0 || of.taken != nil {
		return nil
	}
	of.taken = make(chan struct{})
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.held, key)
		close(of.taken)
	}
}
