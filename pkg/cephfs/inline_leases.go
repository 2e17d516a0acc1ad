package cephfs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// How long a lease lasts, and how old it is renewed.
const (
	leaseTime  = 24 * time.Hour
	leaseRenew = time.Hour
)

// lease is what it takes to take one.
type lease struct {
	at     tenant.Place
	of     Snapshot
	c      volume.Credentials
	golden content
	since  time.Time // zero: not by this process
}

// leases are those of goldens that inline volumes show, by the goldens' keys. The
// zero value is ready for use.
type leases struct {
	mu  sync.Mutex
	all map[string]lease
}

func (l *leases) put(one lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]lease{}
	}
	l.all[one.golden.key] = one
}

// offer is put for a lease that this process may not have taken.
func (l *leases) offer(one lease) {
	l.mu.Lock()
	_, has := l.all[one.golden.key]
	l.mu.Unlock()
	if !has {
		l.put(one)
	}
}

// decline forgets a lease that its key cannot take.
func (l *leases) decline(one lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[one.golden.key].c == one.c {
		delete(l.all, one.golden.key)
	}
}

// due returns the leases to renew, and forgets those of goldens that no inline
// volume shows any more: they end by themselves.
func (l *leases) due(shown func(content) bool) (all []lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.all {
		switch {
		case time.Since(one.since) < leaseRenew:
		case shown(one.golden):
			all = append(all, one)
		default:
			delete(l.all, key)
		}
	}
	return all
}

// renewLeases renews those that are due, with the keys that took them.
func (s *Stager) renewLeases(ctx context.Context) {
	log := klog.FromContext(ctx)
	sharers, err := s.goldens.Sharers(ctx)
	if err != nil {
		log.Error(err, "look for inline volumes")
		return
	}
	shown := func(c content) bool { return slices.ContainsFunc(sharers[s.goldens.Path(c)], volume.IsInlineShown) }
	for _, l := range s.leases.due(shown) {
		err := s.takeLease(ctx, l)
		if errors.Is(err, volume.ErrDenied) {
			s.leases.decline(l) // the next publication brings another key
		}
		if err != nil {
			log.Error(err, "lease a golden", "golden", l.of.Tenant+"/"+l.of.Subvolume, "user", l.c.User)
		}
	}
}
