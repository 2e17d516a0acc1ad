package ceph

import (
	"context"
	"fmt"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Reader reads records with the key of each request. Requests with the same
// key share a connection, which stays for a while and then closes. It
// implements rbd.Reader.
type Reader struct {
	connections *connections
}

var _ rbd.Reader = (*Reader)(nil)

// NewReader returns a Reader. It connects when it is first used.
func NewReader(o Options) *Reader {
	o = o.withDefaults()
	cs := newConnections(o)
	cs.idle, cs.limit = o.Idle, o.Connections
	return &Reader{connections: cs}
}

// Close ends the connections.
func (r *Reader) Close() { r.connections.close() }

// Read implements rbd.Reader. A key that Ceph has stopped to accept goes on
// reading on a connection that it made before, until its ticket ends or the
// client is blocklisted.
func (r *Reader) Read(ctx context.Context, at tenant.Place, c volume.Credentials, name string) (rbd.Reading, error) {
	var got rbd.Reading
	err := r.connections.use(ctx, requestLogin(at.Cluster(), c), func(conn *connection) (err error) {
		got, err = conn.read(at, name)
		return err
	})
	if err != nil {
		return rbd.Reading{}, about("read record", at, name, err)
	}
	return got, nil
}

func (c *connection) read(at tenant.Place, name string) (rbd.Reading, error) {
	ioctx, err := c.in(at.Pool(), at.Namespace())
	if is(err, syscall.ENOENT) {
		return rbd.Reading{}, fmt.Errorf("there is no pool %s for this key: %w: %w", at.Pool(), err, volume.ErrDenied)
	}
	if err != nil {
		return rbd.Reading{}, classify(err)
	}
	data, err := readObject(ioctx, recordPrefix+name)
	if err != nil {
		return rbd.Reading{}, classify(err)
	}
	return rbd.Reading{Data: data, FSID: c.fsid, PoolID: ioctx.GetPoolID()}, nil
}
