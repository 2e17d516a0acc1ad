package rbd_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// TestPrefetch reads a golden once, within the node's limit, for the tenant
// that came first.
func TestPrefetch(t *testing.T) {
	for name, c := range map[string]struct {
		what  volume.Prefetch
		limit int64
		times int
	}{
		"all":          {volume.PrefetchAll, 2 << 30, 1},
		"metadata":     {volume.PrefetchMetadata, 1, 1},
		"none":         {volume.PrefetchNone, 2 << 30, 0},
		"nobody said":  {"", 2 << 30, 0},
		"over limit":   {volume.PrefetchAll, 1 << 30, 0},
		"not allowed":  {volume.PrefetchAll, 0, 0},
		"not allowed'": {volume.PrefetchMetadata, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newShared(t)
				read := map[string]int64{}
				s := n.fresh().Share(rbd.Sharing{PrefetchLimit: c.limit, Observe: func(tenant string, bytes int64) { read[tenant] += bytes }})
				for _, v := range []string{"a1", "a2"} {
					spec := n.shared(v)
					spec.Prefetch = c.what
					n.run(n.create(spec), n.stageHere(s, v))
					synctest.Wait()
				}
				times := 0
				for _, call := range n.ceph.Trace() {
					if call.Port == "Prefetch" {
						times++
					}
				}
				if times != c.times || (read["acme"] > 0) != (c.times > 0) || s.Prefetching() != 0 {
					t.Fatalf("read %d times, %v", times, read)
				}
				n.run(n.unstageHere(s, "a1"), n.unstageHere(s, "a2"))
				n.expectHost("unstaged")
			})
		})
	}
}

// endless is a host whose prefetches last until they are stopped.
type endless struct{ *fake.Host }

func (endless) Prefetch(ctx context.Context, _ string, _ bool, read func(int64)) error {
	read(1)
	<-ctx.Done()
	return ctx.Err()
}

// TestPrefetchStops ends a prefetch with the last volume that could use it, and
// not before.
func TestPrefetchStops(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			n := newShared(t)
			s := rbd.NewStager(n.ceph, n.host, endless{n.host}, noSteps{}).Share(rbd.Sharing{PrefetchLimit: 2 << 30, Linger: linger})
			for _, v := range []string{"a1", "a2"} {
				spec := n.shared(v)
				spec.Prefetch = volume.PrefetchAll
				n.run(n.create(spec), n.stageHere(s, v))
			}
			n.must(n.unstageHere(s, "a1"))
			synctest.Wait()
			if got := s.Prefetching(); got != 1 {
				t.Fatalf("%d prefetches run beside a volume", got)
			}
			n.must(n.unstageHere(s, "a2"))
			synctest.Wait()
			if got := s.Prefetching(); got != 0 {
				t.Fatalf("%d prefetches run without a volume", got)
			}
			n.must(n.stageHere(s, "a1"))
			if got := s.Prefetching(); got != 1 {
				t.Fatalf("%d prefetches run for the next volume", got)
			}
			n.must(n.unstageHere(s, "a1"))
			time.Sleep(2 * linger)
			n.must(s.Sweep(t.Context()))
			n.must(s.Sweep(t.Context()))
			n.expectHost("unstaged")
		})
	}
}
