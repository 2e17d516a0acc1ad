package export

import (
	"log"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// faults logs when the image begins and ceases to give errors: a line for each
// request would fill the node's memory while Ceph is away.
type faults struct {
	log     *log.Logger
	failing atomic.Bool
}

// status gives the kernel the one answer that a block device can pass on.
func (f *faults) status(what string, offset uint64, err error) fuse.Status {
	if f.failing.CompareAndSwap(false, true) {
		f.log.Printf("%s at %d: %v; more of it is not logged", what, offset, err)
	}
	return fuse.EIO
}

// passed notes that the image answers.
func (f *faults) passed() {
	if f.failing.Load() && f.failing.CompareAndSwap(true, false) {
		f.log.Print("the image answers again")
	}
}
