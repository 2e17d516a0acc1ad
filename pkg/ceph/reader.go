package ceph

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/ceph/go-ceph/rados"

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

// MayRead implements rbd.Reader. An image's header is what every client of it
// reads first, and what the caps name it by.
func (r *Reader) MayRead(ctx context.Context, at tenant.Place, c volume.Credentials, m rbd.Mapping) error {
	return r.beside(ctx, at, c, m, "look at", func(ioctx *rados.IOContext) error {
		_, err := ioctx.Stat(headerPrefix + m.ImageID)
		return err
	})
}

// Lease implements rbd.Reader.
func (r *Reader) Lease(ctx context.Context, at tenant.Place, c volume.Credentials, m rbd.Mapping, node string, until time.Time) error {
	return r.beside(ctx, at, c, m, "lease", func(ioctx *rados.IOContext) error {
		return ioctx.SetOmap(leasesOf(m.ImageID), map[string][]byte{node: []byte(until.UTC().Format(time.RFC3339))})
	})
}

// beside does something in the namespace of a mapped image.
func (r *Reader) beside(ctx context.Context, at tenant.Place, c volume.Credentials, m rbd.Mapping, doing string, do func(*rados.IOContext) error) error {
	err := r.connections.use(ctx, requestLogin(at.Cluster(), c), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), m.Namespace)
		if is(err, syscall.ENOENT) {
			return fmt.Errorf("there is no pool %s for this key: %w: %w", at.Pool(), err, volume.ErrDenied)
		}
		if err == nil {
			err = do(ioctx)
		}
		return classify(err)
	})
	return about(doing, at, m.Namespace+"/"+m.Image, err)
}
