package fuse

import (
	"context"

	"k8s.io/klog/v2"
)

// readAheadKB is what the kernel reads ahead, in requests of 128 KiB or more, of
// which ceph-fuse has several at a time then.
const readAheadKB = 1 << 10

// speed are the options of ceph-fuse for whole-file reads. Requests come in no
// strict order, and each that is out of order begins the read-ahead anew, by
// default with 128 KiB: here with two objects. What readers of a golden read is
// in the kernel's page cache, so that ceph-fuse holds no more than what eight of
// them have read ahead; with less, one would throw out what the other is about
// to read. It gathers no log that nobody can read.
func speed(readOnly bool) []string {
	options := []string{
		"--client_readahead_min=8388608", "--client_readahead_max_periods=2",
		"--debug_client=0", "--debug_objectcacher=0", "--debug_objecter=0", "--debug_ms=0",
	}
	if readOnly {
		return append(options, "--client_oc_size=100663296")
	}
	// A writer's has to hold what is not written as yet, up to 100 MiB.
	return append(options, "--client_oc_size=134217728")
}

// readAhead prepares a mount for whole-file reads; without it the mount works,
// slowly, so a refusal is logged only.
func (f *Mounter) readAhead(ctx context.Context, place string) {
	if err := f.Host.ReadAhead(ctx, place, readAheadKB); err != nil {
		klog.FromContext(ctx).Error(err, "set the read-ahead", "path", place)
	}
}
