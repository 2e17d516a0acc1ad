package sharing

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Node is what a node shares of one backend.
type Node[G Golden] struct {
	Options
	// Holds keeps what calls are at work on: goldens by their keys, and what
	// else the backend has, by names of its own.
	Holds Holds

	dir     string // where goldens are mounted
	backend Backend[G]
	host    Host
	steps   Steps
	flights singleflight.Group // by key: see Mount
	idle    idle
	owed    owed[G]
}

// NewNode returns a Node that has its goldens mounted in dir.
func NewNode[G Golden](o Options, dir string, b Backend[G], h Host, s Steps) *Node[G] {
	return &Node[G]{Options: o.WithDefaults(), dir: dir, backend: b, host: h, steps: s}
}

// Path is where a golden is mounted.
func (n *Node[G]) Path(g G) string { return filepath.Join(n.dir, g.Key()) }

// Use keeps a golden from being taken away until the returned function is
// called.
func (n *Node[G]) Use(ctx context.Context, g G) (done func(), err error) {
	done, err = n.Holds.Use(ctx, g.Key())
	if err == nil {
		n.idle.end(g.Key())
	}
	return done, err
}

// mountTime bounds the mounting of a golden that its first caller has left.
const mountTime = 2 * time.Minute

// Mount sees to it that a golden is mounted. Calls at the same time for one
// golden run mount once. Each waits as long as its own context allows; mount
// goes on, for the others and for the next call. One that failed because of
// somebody else's key is tried again with this one's.
func (n *Node[G]) Mount(ctx context.Context, g G, mount func(context.Context) error) error {
	for {
		mine := false
		flight := n.flights.DoChan(g.Key(), func() (any, error) {
			mine = true
			own, cancel := context.WithTimeout(context.WithoutCancel(ctx), mountTime)
			defer cancel()
			return nil, n.mount(own, g, mount)
		})
		select {
		case result := <-flight:
			if mine || !errors.Is(result.Err, volume.ErrDenied) {
				return result.Err
			}
		case <-ctx.Done():
			return fmt.Errorf("golden %s is being mounted: %w: %w", g, context.Cause(ctx), volume.ErrPending)
		}
	}
}

// mount uses the golden itself: its caller may have gone.
func (n *Node[G]) mount(ctx context.Context, g G, mount func(context.Context) error) error {
	done, err := n.Holds.Use(ctx, g.Key())
	if err != nil {
		return err
	}
	defer done()
	n.owed.remove(g)
	return mount(ctx)
}

// Show shows the directory inside a golden, or all of it, at the staging path.
func (n *Node[G]) Show(ctx context.Context, g G, inside string, st volume.Stage) error {
	return n.ShowAt(ctx, g, inside, st.ID, st.Path, st.Options)
}

// ShowAt is Show for what is to be told by the mount table, at its path.
func (n *Node[G]) ShowAt(ctx context.Context, g G, inside string, what fmt.Stringer, path string, options []string) error {
	defer n.steps.Step("overlay")()
	return n.host.Overlay(ctx, volume.Overlay{Path: path, Lower: n.Path(g), Inside: inside, Shows: what.String()}, options)
}

// Sharers returns the IDs of the volumes that show goldens, by the golden's
// path, as often as they are mounted.
func (n *Node[G]) Sharers(ctx context.Context) (map[string][]string, error) {
	all, err := n.host.Overlays(ctx, n.dir)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, o := range all {
		found[o.Lower] = append(found[o.Lower], o.Shows)
	}
	return found, nil
}

// Shows says whether path is an overlay that shows the volume, or with an
// empty path whether any is.
func (n *Node[G]) Shows(ctx context.Context, id volume.ID, path string) (bool, error) {
	all, err := n.host.Overlays(ctx, n.dir)
	if err != nil {
		return false, err
	}
	for _, o := range all {
		if o.Shows == id.String() && (path == "" || o.Path == path) {
			return true, nil
		}
	}
	return false, nil
}

// Lower returns the golden's mount whose overlay path is; empty where it is
// none.
func (n *Node[G]) Lower(ctx context.Context, path string) (string, error) {
	o, err := n.At(ctx, path)
	return o.Lower, err
}

// At returns the overlay of a golden that path is; zero where it is none.
func (n *Node[G]) At(ctx context.Context, path string) (volume.Overlay, error) {
	all, err := n.host.Overlays(ctx, n.dir)
	if err != nil {
		return volume.Overlay{}, err
	}
	for _, o := range all {
		if o.Path == path {
			return o, nil
		}
	}
	return volume.Overlay{}, nil
}
