package ceph

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ceph/go-ceph/rados"
)

// connection is one client of a cluster: what librados calls an instance. It
// is safe for concurrent use, and so is each of its I/O contexts, because
// nobody changes one after it is shared (rados/librados.h: only changing the
// settings of a rados_ioctx_t is not thread-safe).
type connection struct {
	conn *rados.Conn
	fsid string

	mu       sync.Mutex
	contexts map[space]*rados.IOContext
}

// space is a RADOS namespace of a pool.
type space struct{ pool, namespace string }

func newConnection(conn *rados.Conn) (*connection, error) {
	fsid, err := conn.GetFSID()
	if err != nil {
		conn.Shutdown()
		return nil, fmt.Errorf("ask for the cluster's id: %w", classify(err))
	}
	return &connection{conn: conn, fsid: fsid, contexts: map[space]*rados.IOContext{}}, nil
}

// in returns the I/O context of a pool's namespace. The caller must neither
// change nor destroy it, nor use it after it has let the connection go.
func (c *connection) in(pool, namespace string) (*rados.IOContext, error) {
	at := space{pool, namespace}
	c.mu.Lock()
	ioctx := c.contexts[at]
	c.mu.Unlock()
	if ioctx != nil {
		return ioctx, nil
	}
	// Outside the mutex: a pool that is not in the client's map makes it ask
	// the monitors for a newer one.
	ioctx, err := c.conn.OpenIOContext(pool)
	if err != nil {
		return nil, err
	}
	ioctx.SetNamespace(namespace)
	return c.keep(at, ioctx), nil
}

// keep shares a new I/O context, or an equal one that came first.
func (c *connection) keep(at space, ioctx *rados.IOContext) *rados.IOContext {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.contexts[at]; first != nil {
		ioctx.Destroy()
		return first
	}
	c.contexts[at] = ioctx
	return ioctx
}

// command runs a monitor command (its arguments are a JSON object; mind that
// the monitors log them) and returns what it printed.
func (c *connection) command(arguments map[string]any) ([]byte, error) {
	text, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	out, _, err := c.conn.MonCommand(text)
	return out, err
}

// close ends the connection. Nobody may use it any more.
func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ioctx := range c.contexts {
		ioctx.Destroy()
	}
	c.contexts = nil
	c.conn.Shutdown()
}
