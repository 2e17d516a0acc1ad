package ceph

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// patient makes calls that take no context and that librados does not end by a
// time-out either. Its connections are of its own: they have no time-out for
// commands, see Options.commandTimeout.
type patient struct {
	whom        string // who answers
	connections *connections

	mu     sync.Mutex
	places map[loginID]chan struct{} // taken by each call that is under way
}

// maxCalls bounds a login's calls under way: each has a thread of its own, and
// one that is not answered keeps it. One cluster that hangs stops no other's.
const maxCalls = 64

func newPatient(o Options, whom string) *patient {
	o.patient = true
	return &patient{whom: whom, connections: newConnections(o), places: map[loginID]chan struct{}{}}
}

// ask makes a call. One that is not answered when ctx ends is left alone, and
// what it does then comes late.
func (p *patient) ask(ctx context.Context, l login, call func(*connection) error) error {
	places := p.placesOf(l)
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%d calls wait for %s: %w: %w", maxCalls, p.whom, context.Cause(ctx), volume.ErrUnavailable)
	}
	answer := make(chan error, 1)
	go func() {
		defer func() { <-places }()
		answer <- p.connections.use(ctx, l, call)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s has not answered: %w: %w", p.whom, context.Cause(ctx), volume.ErrUnavailable)
	}
}

// placesOf returns the places of a login. There are as many logins as the
// policy has clusters.
func (p *patient) placesOf(l login) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[l.id] == nil {
		p.places[l.id] = make(chan struct{}, maxCalls)
	}
	return p.places[l.id]
}
