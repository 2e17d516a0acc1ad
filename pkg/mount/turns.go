package mount

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// turns lets one call at a time change what is mounted on a path; other paths
// never wait. The zero value is ready for use.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed at the end of the turn
}

// take waits for the path's turn, no longer than ctx allows; the returned
// function ends it.
func (t *turns) take(ctx context.Context, path string) (end func(), err error) {
	for {
		busy, end := t.try(path)
		if end != nil {
			return end, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, fmt.Errorf("another call is busy with %s: %w", path, volume.ErrPending)
		}
	}
}

func (t *turns) try(path string) (busy <-chan struct{}, end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if busy, ok := t.taken[path]; ok {
		return busy, nil
	}
	if t.taken == nil {
		t.taken = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	t.taken[path] = mine
	return nil, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.taken, path)
		close(mine)
	}
}
