package ceph

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// connections shares connections by login. It makes one when it is first
// needed, replaces one that broke, and closes those that nobody uses.
type connections struct {
	dial  func(login) (*connection, error)
	shut  func(*connection)
	idle  time.Duration // 0: an unused connection stays
	limit int           // 0: no limit

	mu     sync.Mutex
	slots  map[loginID]*slot
	closed bool
}

// slot is a login's connection: being made, in use or idle. All but ready is
// guarded by the connections' mutex; conn and err are set before ready closes.
type slot struct {
	id    loginID
	ready chan struct{}
	conn  *connection
	err   error

	users   int // whoever dials is one
	retired bool
	since   time.Time // of its last use
	timer   *time.Timer
}

func newConnections(o Options) *connections {
	return &connections{dial: o.dial, shut: (*connection).close, slots: map[loginID]*slot{}}
}

// use runs call with the login's connection. Once call has begun, it runs to
// its end; a context that ends before that makes use fail with its error.
func (cs *connections) use(ctx context.Context, l login, call func(*connection) error) error {
	s, err := cs.acquire(ctx, l)
	if err != nil {
		return l.explain(err)
	}
	err = call(s.conn)
	cs.release(s, isBroken(err))
	return l.explain(err)
}

// acquire returns the login's slot with its connection made. The caller must
// release it.
func (cs *connections) acquire(ctx context.Context, l login) (*slot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := cs.enter(l)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.ready:
		err = s.err
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		cs.release(s, false)
		return nil, err
	}
	return s, nil
}

// enter registers a user of the login's slot and begins to dial where there
// is none. Waiting for it is the caller's.
func (cs *connections) enter(l login) (*slot, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		return nil, fmt.Errorf("the connections to Ceph are closed: %w", volume.ErrUnavailable)
	}
	s := cs.slots[l.id]
	if s == nil {
		if err := cs.makeRoom(); err != nil {
			return nil, err
		}
		s = &slot{id: l.id, ready: make(chan struct{}), users: 1}
		cs.slots[l.id] = s
		go cs.connect(s, l)
	}
	s.users++
	if s.timer != nil {
		s.timer.Stop()
	}
	return s, nil
}

// makeRoom retires the connection that is idle longest when the limit is
// reached. The mutex is held.
func (cs *connections) makeRoom() error {
	if cs.limit == 0 || len(cs.slots) < cs.limit {
		return nil
	}
	var oldest *slot
	for _, s := range cs.slots {
		if s.users == 0 && (oldest == nil || s.since.Before(oldest.since)) {
			oldest = s
		}
	}
	if oldest == nil {
		return fmt.Errorf("%d connections to Ceph are in use, which is the limit: %w", cs.limit, volume.ErrUnavailable)
	}
	cs.retire(oldest)
	cs.shutUnused(oldest)
	return nil
}

func (cs *connections) connect(s *slot, l login) {
	s.conn, s.err = cs.dial(l)
	close(s.ready)
	cs.release(s, s.err != nil)
}

// release gives a slot back. A broken one is not handed out again, and closed
// when its last user has gone.
func (cs *connections) release(s *slot, broken bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if broken || cs.closed {
		cs.retire(s)
	}
	s.users--
	if s.users > 0 {
		return
	}
	s.since = time.Now()
	if s.retired {
		cs.shutUnused(s)
		return
	}
	if cs.idle > 0 {
		s.timer = time.AfterFunc(cs.idle, func() { cs.expire(s) })
	}
}

// retire takes a slot out, so that the next user of its login dials anew. The
// mutex is held.
func (cs *connections) retire(s *slot) {
	s.retired = true
	if cs.slots[s.id] == s {
		delete(cs.slots, s.id)
	}
}

// shutUnused closes a retired slot's connection, beside its caller: librados
// waits there for what is under way. The mutex is held.
func (cs *connections) shutUnused(s *slot) {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.conn != nil {
		go cs.shut(s.conn)
	}
}

// expire closes a slot that nobody has used since its timer was set.
func (cs *connections) expire(s *slot) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if s.users > 0 || s.retired || time.Since(s.since) < cs.idle {
		return
	}
	cs.retire(s)
	cs.shutUnused(s)
}

// close ends all connections: the unused ones before it returns, the others
// when their last users have gone.
func (cs *connections) close() {
	for _, s := range cs.retireAll() {
		cs.shut(s.conn)
	}
}

func (cs *connections) retireAll() (unused []*slot) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for _, s := range cs.slots {
		cs.retire(s)
		if s.timer != nil {
			s.timer.Stop()
		}
		if s.users == 0 && s.conn != nil {
			unused = append(unused, s)
		}
	}
	return unused
}
