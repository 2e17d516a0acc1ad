package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"github.com/ceph/go-ceph/rados"
	"golang.org/x/sync/singleflight"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Cluster is Ceph for the controller and for sdpctl, with the user and the
// key file of the policy's row. It implements rbd.Cluster and golden.Store.
type Cluster struct {
	connections *connections
	manager     *patient
	requests    *patient // for writers
	pings       singleflight.Group
	quotas      batches[shareChange]
	index       batches[indexEntry]
}

var (
	_ rbd.Cluster  = (*Cluster)(nil)
	_ golden.Store = (*Cluster)(nil)
)

// NewCluster returns a Cluster. It connects when it is first used.
func NewCluster(o Options) *Cluster {
	o = o.withDefaults()
	c := &Cluster{connections: newConnections(o), manager: newPatient(o, "the manager"), requests: newPatient(o, tenantsMode)}
	c.quotas.serve, c.index.serve = c.changeQuotas, c.addEntries
	return c
}

// Close ends the connections.
func (c *Cluster) Close() {
	c.connections.close()
	c.manager.connections.close()
	c.requests.connections.close()
}

// in runs call with the I/O context of the place's namespace.
func (c *Cluster) in(ctx context.Context, at tenant.Place, call func(*rados.IOContext) error) error {
	return c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), at.Namespace())
		if err != nil {
			return noPool(at, err)
		}
		return classify(call(ioctx))
	})
}

// noPool says why there is no I/O context. A pool that is missing must not
// read as a volume that is missing, which for a removal means success.
func noPool(at tenant.Place, err error) error {
	if is(err, syscall.ENOENT) {
		return fmt.Errorf("pool %s is not in cluster %s: %w", at.Pool(), at.Cluster().ID, volume.ErrUnavailable)
	}
	return fmt.Errorf("open pool %s of cluster %s: %w", at.Pool(), at.Cluster().ID, classify(err))
}

// Free returns the bytes that can still be stored in the pool that holds the
// images' data.
func (c *Cluster) Free(ctx context.Context, at tenant.Place) (int64, error) {
	pool := at.Pool()
	if at.Cluster().DataPool != "" {
		pool = at.Cluster().DataPool
	}
	return c.freeIn(ctx, at, pool)
}

// freeIn returns the bytes that can still be stored in a pool.
func (c *Cluster) freeIn(ctx context.Context, at tenant.Place, pool string) (int64, error) {
	var free int64
	err := c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		out, err := conn.command(map[string]any{"prefix": "df", "format": "json"})
		if err != nil {
			return classify(err)
		}
		free, err = freeOf(out, pool)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("free space of pool %s in cluster %s: %w", pool, at.Cluster().ID, err)
	}
	return free, nil
}

// freeOf finds a pool's free bytes in what the monitors' command df prints.
func freeOf(df []byte, pool string) (int64, error) {
	var answer struct {
		Pools []struct {
			Name  string
			Stats struct {
				MaxAvail int64 `json:"max_avail"`
			}
		}
	}
	if err := json.Unmarshal(df, &answer); err != nil {
		return 0, fmt.Errorf("the monitors' answer is not what df prints: %w: %w", err, volume.ErrUnavailable)
	}
	for _, p := range answer.Pools {
		if p.Name == pool {
			return p.Stats.MaxAvail, nil
		}
	}
	return 0, fmt.Errorf("there is no such pool: %w", volume.ErrUnavailable)
}

// pingObject need not exist: that it does not is an answer of the OSD too.
const pingObject = "sdp.ping"

// Ping says whether a monitor and an OSD of the cluster answer, with the
// controller's key, before ctx ends. Pings of one cluster share their answer,
// so a Ceph that hangs is asked once and not once more by every probe.
func (c *Cluster) Ping(ctx context.Context, row *tenant.Cluster) error {
	answer := c.pings.DoChan(row.ID, func() (any, error) {
		return nil, c.connections.use(context.WithoutCancel(ctx), ownLogin(row), func(conn *connection) error { return conn.ping(row.Pool) })
	})
	select {
	case got := <-answer:
		if got.Err != nil {
			return fmt.Errorf("ping cluster %s: %w", row.ID, got.Err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ping cluster %s: no answer as yet: %w: %w", row.ID, ctx.Err(), volume.ErrUnavailable)
	}
}

// errStale makes a connection be replaced on which nothing comes back.
var errStale = errors.New("the connection does not answer")

func (c *connection) ping(pool string) error {
	if _, err := c.conn.GetClusterStats(); err != nil {
		return fmt.Errorf("the monitors: %w", stale(err))
	}
	ioctx, err := c.in(pool, "")
	if err != nil {
		return fmt.Errorf("pool %s: %w: %w", pool, err, volume.ErrUnavailable)
	}
	if _, err := ioctx.Stat(pingObject); err != nil && !is(err, syscall.ENOENT) {
		return fmt.Errorf("pool %s: %w", pool, stale(err))
	}
	return nil
}

// stale marks the connection of a ping that timed out as broken: a new one
// may find its way where this one waits for a ticket or a peer that is gone.
func stale(err error) error {
	if is(err, syscall.ETIMEDOUT) {
		return fmt.Errorf("%w: %w: %w", err, errStale, volume.ErrUnavailable)
	}
	return classify(err)
}
