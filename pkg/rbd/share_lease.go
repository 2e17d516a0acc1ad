package rbd

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// How long a lease lasts, and how old it is renewed. A node that dies keeps a
// retired golden for LeaseTime; a driver that was started again, which has no
// keys until the next stage, has most of it to get one.
const (
	LeaseTime  = 24 * time.Hour
	leaseRenew = time.Hour
)

// leases are what this process knows of the leases that it has taken. The zero
// value is ready for use.
type leases struct {
	mu    sync.Mutex
	taken map[string]lease
	// offered are keys of goldens' readers that came with requests, by the
	// names of their mappings.
	offered map[string]lease
}

// lease is what it takes to renew one.
type lease struct {
	at    tenant.Place
	m     Mapping
	c     volume.Credentials
	since time.Time // zero: not taken as yet
}

// lease tells in Ceph that this node reads the golden, so that its deletion
// waits. A key that may not, or a Ceph that does not take it, is no reason to
// keep a function waiting: what holds a golden is the volume's clone first of
// all, and the mapping that comes next shows whether Ceph is there.
func (s *Stager) lease(ctx context.Context, at tenant.Place, m Mapping, c volume.Credentials) {
	if s.goldens.Options.Node == "" || !s.leases.isDue(m.Key()) {
		return
	}
	l := lease{at: at, m: m, c: c}
	s.take(ctx, l)
}

func (s *Stager) take(ctx context.Context, l lease) {
	err := s.tryLease(ctx, l)
	if errors.Is(err, volume.ErrDenied) {
		s.leases.decline(l)
	}
	if err != nil {
		s.reportLease(ctx, l, err)
	}
}

func (s *Stager) tryLease(ctx context.Context, l lease) error {
	defer s.steps.Step("lease")()
	now := time.Now()
	if err := s.reader.Lease(ctx, l.at, l.c, l.m, s.goldens.Options.Node, now.Add(LeaseTime)); err != nil {
		return err
	}
	l.since = now
	s.leases.put(l)
	return nil
}

// reportLease is quiet about keys that were not made by sdpctl: they may only
// read, and a stage with another key may follow.
func (s *Stager) reportLease(ctx context.Context, l lease, err error) {
	log := klog.FromContext(ctx)
	if errors.Is(err, volume.ErrDenied) {
		log.V(2).Info("the key takes no lease of the golden", "image", l.m.Image, "user", l.c.User)
		return
	}
	log.Error(err, "lease a golden", "image", l.m.Image, "user", l.c.User)
}

// renewLeases renews those that are due, with the keys that took them, and
// takes those of goldens that an earlier driver has mapped.
func (s *Stager) renewLeases(ctx context.Context) {
	for _, l := range s.leases.due() {
		s.take(ctx, l)
	}
	if s.goldens.Options.Node == "" || !s.leases.hasOffers() {
		return
	}
	all, err := backend{s}.Goldens(ctx)
	if err != nil {
		klog.FromContext(ctx).Error(err, "look for goldens without a lease")
		return
	}
	for _, m := range all {
		if l, ok := s.leases.missing(m); ok {
			s.take(ctx, l)
		}
	}
}

// offer remembers the keys of goldens' readers that came with a request: a
// driver that was started again has none, and the pods that it finds may hold
// goldens by leases alone. Whatever is staged next brings the keys of all
// goldens that its tenant may use.
func (l *leases) offer(at tenant.Place, goldens map[volume.GoldenRef]volume.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offered == nil {
		l.offered = map[string]lease{}
	}
	for ref, c := range goldens {
		l.offered[offerNames(at, ref)] = lease{at: at, c: c}
	}
}

// suggest offers the key of one golden that came in a pod's own Secret, in
// which its author can write anything: it takes no other key's place.
func (l *leases) suggest(at tenant.Place, ref volume.GoldenRef, c volume.Credentials) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := offerNames(at, ref)
	if _, has := l.offered[names]; has {
		return
	}
	if l.offered == nil {
		l.offered = map[string]lease{}
	}
	l.offered[names] = lease{at: at, c: c}
}

// decline forgets an offered key that is good for nothing, so that another one
// can be offered.
func (l *leases) decline(one lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offered[one.m.names()].c == one.c {
		delete(l.offered, one.m.names())
	}
}

func offerNames(at tenant.Place, ref volume.GoldenRef) string {
	return Mapping{Pool: at.Pool(), Namespace: ref.Tenant, Image: ref.Image()}.names()
}

func (l *leases) hasOffers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.offered) > 0
}

// missing returns the lease to take of a golden that has none, where a key was
// offered for it.
func (l *leases) missing(m Mapping) (lease, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, taken := l.taken[m.Key()]
	found, ok := l.offered[m.names()]
	found.m = m
	return found, ok && !taken
}

func (l *leases) isDue(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.taken[key].since) >= leaseRenew
}

func (l *leases) put(one lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil {
		l.taken = map[string]lease{}
	}
	l.taken[one.m.Key()] = one
}

func (l *leases) due() (all []lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.taken {
		if time.Since(one.since) >= leaseRenew {
			all = append(all, one)
		}
	}
	return all
}

// drop forgets a lease, which ends by itself in Ceph.
func (l *leases) drop(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.taken, key)
}
