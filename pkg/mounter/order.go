package mounter

import (
	"context"
	"os"
)

// The programs, by the names that an Order has.
const (
	Export   = "sdp-export"
	NBD      = "rbd-nbd"
	CephFUSE = "ceph-fuse"
)

// Variable of a program's environment has its Order's label.
const Variable = "SDP_CSI_MAPPING"

// KeyPath is where a program finds the first of its Order's files: a key is
// handed over so. It is in memory, and neither in argv nor in the environment.
const KeyPath = "/proc/self/fd/3"

// Order says which program to start, and all that it gets. A secret may be in
// Files only.
type Order struct {
	Program   string // one of the names above
	Arguments []string
	// Label is shown by the program's environment (/proc/PID/environ), for a
	// later driver; empty: none.
	Label string
	// Flusher makes it a process that the kernel never lets wait for dirty
	// pages to be written: it is the one that writes them.
	Flusher bool
	Output  *os.File   // its standard output and error
	Files   []*os.File // its descriptors from 3 on
}

// Starter starts programs, each in a session of its own, with nothing of the
// driver's but what the order has. Safe for concurrent use; no start waits for
// another.
type Starter interface {
	// Start returns when the program runs; the files stay the caller's.
	// ctx bounds the start alone. volume.ErrInvalid: the order is none that
	// this program may get; volume.ErrUnavailable: it cannot be started now.
	Start(ctx context.Context, o Order) (Process, error)
	// Has wraps volume.ErrUnsupported when it is known that this node does
	// not have the program.
	Has(program string) error
}

// Process is a started program. It goes on when its starter has gone.
type Process interface {
	// ID is its number on this node.
	ID() int
	// Wait returns when the program has ended: nil where it was content, else
	// volume.ErrUnavailable with how it ended. Where ctx ends first, it is
	// that as well, and the program goes on.
	Wait(ctx context.Context) error
	// Kill ends the program and all of its session.
	Kill() error
	// Close lets go of it. The program goes on.
	Close()
}
