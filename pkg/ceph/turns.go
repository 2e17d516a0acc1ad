package ceph

import (
	"context"
	"sync"
	"time"
)

// turns keeps callers of one process from getting in each other's way: who
// changes the same object by comparison does better one after the other. It is
// no lock. Whoever waits too long goes on without a turn, so a Ceph that hangs
// holds nobody up for longer than its own call does. The zero value is ready.
type turns struct {
	mu sync.Mutex
	of map[string]chan struct{}
}

// patience is how long a turn is waited for: a change takes milliseconds.
const patience = time.Second

// take waits for a turn at the name. The function that it returns ends it.
func (t *turns) take(ctx context.Context, name string) (end func()) {
	turn := t.at(name)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }
	case <-late.C:
	case <-ctx.Done():
	}
	return func() {}
}

func (t *turns) at(name string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	turn, ok := t.of[name]
	if !ok {
		if t.of == nil {
			t.of = map[string]chan struct{}{}
		}
		turn = make(chan struct{}, 1)
		t.of[name] = turn
	}
	return turn
}
