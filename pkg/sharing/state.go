package sharing

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// owed are goldens whose release has begun and not ended: half taken down, a
// backend does not list them any more. A driver that is killed meanwhile leaves
// them to the backend's own tidying. The zero value is ready for use.
type owed[G Golden] struct {
	mu  sync.Mutex
	set map[string]G
}

func (o *owed[G]) add(g G) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.set == nil {
		o.set = map[string]G{}
	}
	o.set[g.Key()] = g
}

func (o *owed[G]) remove(g G) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.set, g.Key())
}

func (o *owed[G]) all() []G {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.set))
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
