package ceph

import (
	"context"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// managers ask the clusters' managers. A command to one takes no context, and
// must not be timed out by librados, so the connections are of its own.
type managers struct {
	connections *connections
	places      chan struct{} // taken by each command that is under way
}

// maxCommands bounds the commands under way: each has a thread of its own, and
// a manager that hangs keeps it.
const maxCommands = 64

func newManagers(o Options) *managers {
	o.manages = true
	return &managers{connections: newConnections(o), places: make(chan struct{}, maxCommands)}
}

// ask runs a command. One that is not answered when ctx ends is left alone,
// and what it does then comes late.
func (m *managers) ask(ctx context.Context, l login, call func(*connection) error) error {
	select {
	case m.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%d commands wait for the manager: %w: %w", maxCommands, context.Cause(ctx), volume.ErrUnavailable)
	}
	answer := make(chan error, 1)
	go func() {
		defer func() { <-m.places }()
		answer <- m.connections.use(ctx, l, call)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the manager has not answered: %w: %w", context.Cause(ctx), volume.ErrUnavailable)
	}
}
