package sharing

import (
	"context"
	"path/filepath"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Options say how a node shares goldens. A zero field means its default.
type Options struct {
	// StateDir has the goldens' mounts (/run/sdp-csi). It must be the same one
	// each time the driver starts.
	StateDir string
	// Node names this node in leases. Without one it takes none.
	Node string
	// Linger is how long a golden stays mounted after its last volume.
	Linger time.Duration
	// PrefetchLimit bounds the bytes of the goldens that are read ahead of
	// their use; without one nothing is.
	PrefetchLimit int64
	// Prefetches counts for several backends against one limit; by default
	// each counts for itself.
	Prefetches *Prefetches
	// Observe is told what prefetching reads.
	Observe func(tenant string, bytes int64)
}

// WithDefaults fills in what is not said.
func (o Options) WithDefaults() Options {
	if o.StateDir == "" {
		o.StateDir = "/run/sdp-csi"
	}
	if o.Prefetches == nil {
		o.Prefetches = &Prefetches{}
	}
	if o.Observe == nil {
		o.Observe = func(string, int64) {}
	}
	return o
}

// Dir is a directory of the state directory.
func (o Options) Dir(name string) string { return filepath.Join(o.StateDir, name) }

// Steps observes how long the steps of staging take.
type Steps interface {
	// Step begins a step (record, map, lease, format, replay, mount, overlay,
	// grow); the returned function ends it.
	Step(name string) (done func())
}

// Overlays show one mount at several paths.
type Overlays interface {
	// Overlay shows o.Lower, a mount, or the directory o.Inside of it, at
	// o.Path, a directory that it makes. There already in the same way is
	// success; anything else there wraps volume.ErrConflict. options are the
	// class's mount options; one that is not known to be harmless wraps
	// volume.ErrInvalid.
	Overlay(ctx context.Context, o volume.Overlay, options []string) error
	// Overlays returns the overlays of what is mounted directly below dir, at
	// every path where they are mounted or bound.
	Overlays(ctx context.Context, dir string) ([]volume.Overlay, error)
}

// PageCache is what the node has read already.
type PageCache interface {
	// Prefetch reads the files below dir, their beginnings or all of them,
	// and tells read how many bytes more it has read. It ends early without
	// an error when memory gets short.
	Prefetch(ctx context.Context, dir string, whole bool, read func(bytes int64)) error
}

// Host is the node's kernel as sharing needs it. Safe for concurrent use;
// calls for one path are serialised by the caller.
type Host interface {
	Overlays
	PageCache
}

// Golden is what a node has mounted once for all its volumes of it.
type Golden interface {
	// Key tells it from every other one that there ever was: names can be
	// used again.
	Key() string
	// String names it for people.
	String() string
}

// Backend takes goldens away that it has mounted. Safe for concurrent use;
// calls for one golden are serialised by the caller.
type Backend[G Golden] interface {
	// Goldens returns those that this node has, mounted or half made. It asks
	// the kernel only, never Ceph.
	Goldens(ctx context.Context) ([]G, error)
	// Remove takes a golden's mount away and all that serves it, from wherever
	// an earlier one stopped. Absent is success; one that somebody holds wraps
	// volume.ErrInUse.
	Remove(ctx context.Context, g G) error
}
