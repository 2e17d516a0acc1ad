package fake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Ceph is one or more Ceph clusters in memory, with every pool and namespace
// that is asked for. Safe for concurrent use.
type Ceph struct {
	*Faults

	mu     sync.Mutex // guards all below, the hosts' state too
	spaces map[spaceKey]*space
	pools  map[poolKey]int64
	users  map[string]user

	registry registry

	serial uint64 // of image and snapshot ids, and of time
}

type poolKey struct{ cluster, pool string }

type spaceKey struct {
	poolKey
	namespace string
}

// space is one RADOS namespace of a pool.
type space struct {
	key     spaceKey
	records map[string][]byte
	index   map[string]bool
	images  map[string]*image
	locks   map[string]uint64
	quota   quota
	leases  map[string]map[string]time.Time // by image id and node
}

// NewCeph returns an empty Ceph.
func NewCeph() *Ceph {
	c := &Ceph{spaces: map[spaceKey]*space{}, pools: map[poolKey]int64{}, users: map[string]user{}, registry: newRegistry()}
	c.Faults = &Faults{world: &c.mu}
	return c
}

// Restart begins a new life of the driver after a crash: its calls work again,
// its opened images are closed, its locks have expired.
func (c *Ceph) Restart() {
	c.restart()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spaces {
		clear(s.locks)
		for _, i := range s.images {
			clear(i.opens)
		}
	}
}

// space returns the namespace of a place.
func (c *Ceph) space(at tenant.Place) *space {
	key := spaceKey{poolKey{at.Cluster().ID, at.Pool()}, at.Namespace()}
	s, ok := c.spaces[key]
	if !ok {
		s = &space{key: key, records: map[string][]byte{}, index: map[string]bool{}, images: map[string]*image{}, locks: map[string]uint64{}, leases: map[string]map[string]time.Time{}}
		c.spaces[key] = s
	}
	return s
}

func (c *Ceph) poolID(k poolKey) int64 {
	if _, ok := c.pools[k]; !ok {
		c.pools[k] = int64(len(c.pools) + 1)
	}
	return c.pools[k]
}

// fsid is the same for a cluster's name in every Ceph.
func fsid(cluster string) string {
	h := volume.Hash(cluster)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (c *Ceph) next() uint64 {
	c.serial++
	return c.serial
}

// now is a time of its own, a second on for each thing that is made.
func (c *Ceph) now() time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.serial) * time.Second)
}

func (c *Ceph) newID() string { return "1a" + strconv.FormatUint(0x1000+c.next(), 16) }

// capacity is how much a fake pool can store.
const capacity = 1 << 44

// Free returns the pool's capacity without what the images were given.
func (c *Ceph) Free(ctx context.Context, at tenant.Place) (int64, error) {
	return get(ctx, c.Faults, "Free", at.Pool(), func() (int64, error) {
		free := int64(capacity)
		for key, s := range c.spaces {
			if key.poolKey != (poolKey{at.Cluster().ID, at.Pool()}) {
				continue
			}
			for _, i := range s.images {
				free -= i.content.stored()
			}
		}
		return free, nil
	})
}

// Contents lists all that a place holds, one line each and sorted: records,
// index entries, shares of the quota, images with their size, and their snapshots, those in the
// trash as well. A place that nothing was left in has none.
func (c *Ceph) Contents(at tenant.Place) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.space(at)
	var all []string
	for name := range s.records {
		all = append(all, "record "+name)
	}
	for name := range s.index {
		all = append(all, "index "+name)
	}
	for name := range s.locks {
		all = append(all, "lock "+name)
	}
	for id, nodes := range s.leases {
		for node := range nodes {
			all = append(all, "lease "+id+" "+node)
		}
	}
	for name, bytes := range s.quota.shares {
		all = append(all, fmt.Sprintf("share %s %d", name, bytes))
	}
	for name, i := range s.images {
		all = append(all, fmt.Sprintf("image %s %d", name, i.size))
		for _, snap := range i.snaps {
			all = append(all, "snapshot "+name+"@"+snap.String())
		}
	}
	slices.Sort(all)
	return all
}
